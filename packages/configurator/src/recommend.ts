import { configuratorError } from "./configurator-error.ts";
import { ConfiguratorError } from "./configurator-error.ts";
import type { FoundLayout, SearchOptions } from "./search/search.ts";
import { search } from "./search/search.ts";
import { checkPositive } from "./target.ts";

export interface RecommendOptions extends Omit<SearchOptions, "gpus"> {
  /** Requests per second to serve. Give this or `concurrency`. */
  readonly requestRate?: number;
  /** Requests in flight to serve. */
  readonly concurrency?: number;
  /** Never more than this. Default 1024. */
  readonly maxGpus?: number;
}

export interface Recommendation {
  /** Fewest GPUs that serve the load within the limits. */
  readonly gpus: number;
  readonly layout: FoundLayout;
  /** Load over what the layout can serve. */
  readonly utilization: number;
}

/**
 * The fewest GPUs that serve a load within the limits, and their layout.
 *
 * @throws ConfiguratorError as `search`, and `CONFIGURATOR_OPTION_INVALID` unless exactly one load is given.
 */
export function recommend(options: RecommendOptions): Recommendation {
  checkPositive(options, ["requestRate", "concurrency", "maxGpus"]);
  const { requestRate, concurrency, maxGpus = 1024, ...rest } = options;
  if ((requestRate === undefined) === (concurrency === undefined))
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      "Give exactly one of requestRate and concurrency",
      { option: "requestRate" },
    );
  let failure: unknown;
  const at = (gpus: number): Recommendation | undefined => {
    try {
      const candidates = search({ ...rest, gpus, top: 50, confirm: 0 }).layouts;
      const enough = candidates
        .map((layout) => ({
          gpus,
          layout,
          utilization:
            requestRate === undefined
              ? (concurrency ?? 0) / layout.concurrency
              : requestRate / layout.requestsPerSecond,
        }))
        .filter(({ utilization }) => utilization <= 1)
        .sort((a, b) => a.utilization - b.utilization)[0];
      return enough;
    } catch (error) {
      if (!ConfiguratorError.isInstance(error) || error.code === "CONFIGURATOR_OPTION_INVALID") throw error;
      failure = error;
      return undefined;
    }
  };
  // Grow to the first size that serves, then close in from below.
  let low = 0;
  let high = 1;
  let best = at(high);
  while (best === undefined && high < maxGpus) {
    low = high;
    high = Math.min(maxGpus, high * 2);
    best = at(high);
  }
  if (best === undefined) {
    if (failure !== undefined && high >= maxGpus) throw failure;
    throw configuratorError(
      "CONFIGURATOR_SLO_UNREACHABLE",
      `Not even ${maxGpus} GPUs serve ${requestRate === undefined ? `${concurrency} requests in flight` : `${requestRate} requests per second`} within the limits; raise maxGpus or relax them`,
      { maxGpus },
    );
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const found = at(middle);
    if (found) {
      best = found;
      high = middle;
    } else low = middle;
  }
  return best;
}

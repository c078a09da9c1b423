import { createLinearFit, type LinearEstimate, type LinearFit } from "./linear-fit.ts";

/** Until something is measured: 20,000 tokens/s after 10 ms, wide error bars. Only its order of magnitude matters. */
export const PREFILL_PRIOR: LinearEstimate = { intercept: 10, slope: 0.05, deviation: 50 };
const PRIOR_TOKENS = 2000;
/** Samples that the fleet's line counts for against a new worker's own; less as those grow. */
const FLEET_WEIGHT = 8;
const MEMORY = 256;

/** How long a worker takes for n prompt tokens, learned from what it took. */
export interface PrefillModel {
  readonly samples: number;
  readonly line: LinearEstimate;
  learn(tokens: number, durationMs: number): void;
}

/** The fleet's model, from which each worker's own departs as it is measured. */
export interface PrefillModels {
  forWorker(): PrefillModel;
  readonly line: LinearEstimate;
}

export function createPrefillModels(prior: LinearEstimate = PREFILL_PRIOR): PrefillModels {
  const fleet = createLinearFit(4 * MEMORY);
  let fleetLine = prior;
  let meanTokens = PRIOR_TOKENS;
  return {
    get line() {
      return fleetLine;
    },
    forWorker() {
      const own: LinearFit = createLinearFit(MEMORY);
      let line: LinearEstimate | undefined;
      let seenByFleet = -1;
      return {
        get samples() {
          return own.samples;
        },
        get line() {
          if (line === undefined || seenByFleet !== fleet.samples) {
            // A worker mostly differs from the fleet by one factor: the shape is the fleet's, the scale soon its own.
            const { weight, x, y } = own.sums;
            const fleetMs = fleetLine.intercept * weight + fleetLine.slope * x;
            const pull = fleetLine.intercept + fleetLine.slope * meanTokens;
            const scale = (y + pull) / (fleetMs + pull);
            const scaled = {
              intercept: fleetLine.intercept * scale,
              slope: fleetLine.slope * scale,
              deviation: fleetLine.deviation,
            };
            line = own.estimate(scaled, meanTokens, FLEET_WEIGHT / (1 + own.samples / FLEET_WEIGHT));
            seenByFleet = fleet.samples;
          }
          return line;
        },
        learn(tokens, durationMs) {
          own.add(tokens, durationMs);
          fleet.add(tokens, durationMs);
          meanTokens += (tokens - meanTokens) / Math.min(fleet.samples + 1, MEMORY);
          // The very first guess may be off by orders of magnitude: it counts as a fraction of a sample.
          fleetLine = fleet.estimate(prior, PRIOR_TOKENS, 0.05);
          line = undefined;
        },
      };
    },
  };
}

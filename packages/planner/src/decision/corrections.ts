import type { Profile } from "../profile/profile.ts";
import { createCapacityModel, type Corrections } from "./capacity.ts";
import type { Interval, Limits, Slo } from "./types.ts";

/** Corrections stay within this factor of 1, either way: beyond it the profile is wrong, not the moment. */
const bound = 3;
/** Weight of the newest interval. */
const weight = 0.3;

/**
 * What was observed over what the profile predicted for the same load and workers, as a slow average of both directions:
 * a cache that hits more than expected lowers it, a slower machine raises it. Intervals that were saturated (predicted or
 * observed beyond twice the SLO) teach nothing about service times and are left out.
 */
export function learnCorrections(
  intervals: readonly Interval[],
  profile: Profile,
  slo: Slo,
  limits: Limits,
): Corrections {
  const share = (slo.percentile ?? 90) / 100;
  const model = createCapacityModel(profile, limits.graph, share, { ttft: 1, itl: 1 });
  let ttft = 1;
  let itl = 1;
  for (const interval of intervals) {
    if (interval.requests === 0) continue;
    const load = {
      requestsPerSecond: (interval.requests / interval.durationMs) * 1000,
      uncachedTokens: interval.inputTokens * (1 - interval.prefixHitRatio),
      inputTokens: interval.inputTokens,
      outputTokens: interval.outputTokens,
    };
    const prefillWorkers = limits.graph === "aggregated" ? interval.workers.decode : interval.workers.prefill;
    ttft = learn(ttft, interval.ttftMs, model.ttft(Math.max(1, prefillWorkers), load).ms, slo.ttftMs);
    itl = learn(itl, interval.itlMs, model.itl(Math.max(1, interval.workers.decode), load).ms, slo.itlMs);
  }
  return { ttft, itl };
}

function learn(
  correction: number,
  observedMs: number | undefined,
  predictedMs: number,
  sloMs: number,
): number {
  if (observedMs === undefined || observedMs <= 0 || !Number.isFinite(predictedMs)) return correction;
  if (predictedMs > 2 * sloMs || observedMs > 4 * sloMs)
    return observedMs > sloMs ? Math.min(bound, Math.max(correction, 1)) : correction;
  const ratio = Math.min(bound, Math.max(1 / bound, observedMs / predictedMs));
  return correction + weight * (ratio - correction);
}

import type { Profile } from "../profile/profile.ts";
import {
  createCapacityModel,
  noCorrections,
  type CapacityModel,
  type Corrections,
  type Load,
} from "./capacity.ts";
import type { Interval, Limits, Slo } from "./types.ts";

/** Corrections stay within this factor of 1, either way: beyond it the profile is wrong, not the moment. */
const bound = 3;
/** Weight of the newest interval. */
const weight = 0.3;
/** Intervals with traffic that are learned from: what came before weighs nothing any more, and a planner runs for months. */
const remembered = 120;
/** A predicted wait below this share of the prompt's own time says too little to learn from. */
const leastWaitShare = 0.1;

/**
 * What was observed over what the profile predicted for the same load and workers, as slow averages of both directions.
 * TTFT has two parts, and each is blamed for what it can explain: less than a prompt's own time means faster prefill (a
 * quicker machine, a cache that hits more), between that and the prediction means shorter waits, more means both. So an
 * overestimated wait never passes for capacity that is not there. Intervals that were saturated (predicted or observed far
 * beyond the SLO) teach nothing about service times and are left out.
 */
export function learnCorrections(
  intervals: readonly Interval[],
  profile: Profile,
  slo: Slo,
  limits: Limits,
): Corrections {
  const share = (slo.percentile ?? 90) / 100;
  const model = createCapacityModel(profile, limits.graph, share, noCorrections);
  let learned = noCorrections;
  for (const interval of newestWithTraffic(intervals)) {
    const load: Load = {
      requestsPerSecond: (interval.requests / interval.durationMs) * 1000,
      uncachedTokens: interval.inputTokens * (1 - interval.prefixHitRatio),
      inputTokens: interval.inputTokens,
      outputTokens: interval.outputTokens,
    };
    const prefillWorkers = limits.graph === "aggregated" ? interval.workers.decode : interval.workers.prefill;
    learned = {
      ...learnTtft(learned, interval.ttftMs, Math.max(1, prefillWorkers), load, model, slo.ttftMs),
      itl: learnItl(
        learned.itl,
        interval.itlMs,
        model.itl(Math.max(1, interval.workers.decode), load).ms,
        slo.itlMs,
      ),
    };
  }
  return learned;
}

function newestWithTraffic(intervals: readonly Interval[]): readonly Interval[] {
  const newest: Interval[] = [];
  for (let i = intervals.length - 1; i >= 0 && newest.length < remembered; i--)
    if (intervals[i]!.requests > 0) newest.push(intervals[i]!);
  return newest.reverse();
}

function learnTtft(
  { ttft, wait }: Corrections,
  observedMs: number | undefined,
  workers: number,
  load: Load,
  model: CapacityModel,
  sloMs: number,
): Pick<Corrections, "ttft" | "wait"> {
  const predictedMs = model.ttft(workers, load).ms;
  const ownMs = model.ttft(workers, { ...load, requestsPerSecond: 0 }).ms;
  if (observedMs === undefined || observedMs <= 0 || !Number.isFinite(predictedMs)) return { ttft, wait };
  if (isSaturated(predictedMs, observedMs, sloMs))
    return { ttft: observedMs > sloMs ? Math.max(ttft, 1) : ttft, wait };
  const predictedWaitMs = predictedMs - ownMs * ttft;
  const newTtft =
    observedMs < ownMs * ttft
      ? toward(ttft, observedMs / ownMs, weight)
      : observedMs <= predictedMs
        ? // Consistent with a right profile, and more so the less waiting there is in it.
          toward(ttft, Math.min(1, observedMs / ownMs), weight * (ownMs / predictedMs))
        : toward(ttft, observedMs / predictedMs, weight * (ownMs / predictedMs));
  const newWait =
    predictedWaitMs > leastWaitShare * ownMs
      ? toward(wait, Math.max(0, observedMs - ownMs * newTtft) / predictedWaitMs, weight)
      : wait;
  return { ttft: newTtft, wait: newWait };
}

function learnItl(
  correction: number,
  observedMs: number | undefined,
  predictedMs: number,
  sloMs: number,
): number {
  if (observedMs === undefined || observedMs <= 0 || !Number.isFinite(predictedMs)) return correction;
  if (isSaturated(predictedMs, observedMs, sloMs))
    return observedMs > sloMs ? Math.max(correction, 1) : correction;
  return toward(correction, observedMs / predictedMs, weight);
}

function isSaturated(predictedMs: number, observedMs: number, sloMs: number): boolean {
  return predictedMs > 2 * sloMs || observedMs > 4 * sloMs;
}

function toward(from: number, ratio: number, share: number): number {
  const target = Math.min(bound, Math.max(1 / bound, ratio));
  return from + share * (target - from);
}

import type { Interval } from "../decision/types.ts";

/** One interval out of consecutive shorter ones. Latencies are means weighted by requests: near a percentile's, not exact. */
export function combineIntervals(samples: readonly Interval[]): Interval {
  const durationMs = sum(samples, (one) => one.durationMs);
  const requests = sum(samples, (one) => one.requests);
  const weighted = (value: (one: Interval) => number): number =>
    requests === 0 ? 0 : sum(samples, (one) => one.requests * value(one)) / requests;
  const latency = (value: (one: Interval) => number | undefined): number | undefined => {
    const known = samples.filter((one) => value(one) !== undefined && one.requests > 0);
    const weight = sum(known, (one) => one.requests);
    return weight === 0 ? undefined : sum(known, (one) => one.requests * value(one)!) / weight;
  };
  const withOutputs = samples.filter((one) => one.outputTokens > 0);
  const ttftMs = latency((one) => one.ttftMs);
  const itlMs = latency((one) => one.itlMs);
  const last = samples[samples.length - 1];
  const timed = (value: (one: Interval) => number): number =>
    durationMs === 0 ? 0 : sum(samples, (one) => one.durationMs * value(one)) / durationMs;
  return {
    durationMs,
    requests,
    inputTokens: weighted((one) => one.inputTokens),
    outputTokens:
      withOutputs.length === 0 ? 0 : sum(withOutputs, (one) => one.outputTokens) / withOutputs.length,
    prefixHitRatio: weighted((one) => one.prefixHitRatio),
    ...(ttftMs === undefined ? {} : { ttftMs }),
    ...(itlMs === undefined ? {} : { itlMs }),
    workers: { prefill: timed((one) => one.workers.prefill), decode: timed((one) => one.workers.decode) },
    ...(last?.queuedPrefillTokens === undefined ? {} : { queuedPrefillTokens: last.queuedPrefillTokens }),
    ...(last?.kvUsage === undefined ? {} : { kvUsage: last.kvUsage }),
  };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

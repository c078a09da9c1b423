import type { Interval, Workers } from "@stator/planner";

/** Counts what frontends and workers would report, from one report to the next. */
export interface ObservationWindow {
  arrived(inputTokens: number): void;
  prefilled(ttftMs: number, promptTokens: number, cachedTokens: number): void;
  /** @param itlMs meaningless below two output tokens, and then not counted */
  finished(outputTokens: number, itlMs: number): void;
  /** So many workers were ready for so long. */
  elapsed(ready: Workers, ms: number): void;
  /** What happened since the last report. */
  report(nowMs: number, pressure: Pick<Interval, "queuedPrefillTokens" | "kvUsage">): Interval;
}

/** @param percentile at which TTFT and ITL are reported, 50 to 99.9 */
export function createObservationWindow(percentile: number): ObservationWindow {
  let fromMs = 0;
  let sums = emptySums();
  return {
    arrived(inputTokens) {
      sums.requests += 1;
      sums.inputs += inputTokens;
    },
    prefilled(ttftMs, promptTokens, cachedTokens) {
      sums.ttfts.push(ttftMs);
      sums.promptTokens += promptTokens;
      sums.cachedTokens += cachedTokens;
    },
    finished(outputTokens, itlMs) {
      if (outputTokens >= 2) sums.itls.push(itlMs);
      sums.outputs += outputTokens;
      sums.finished += 1;
    },
    elapsed(ready, ms) {
      sums.prefillMs += ready.prefill * ms;
      sums.decodeMs += ready.decode * ms;
    },
    report(nowMs, pressure) {
      const durationMs = Math.max(1e-9, nowMs - fromMs);
      const ttftMs = percentileOf(sums.ttfts, percentile);
      const itlMs = percentileOf(sums.itls, percentile);
      const interval: Interval = {
        durationMs,
        requests: sums.requests,
        inputTokens: sums.requests === 0 ? 0 : sums.inputs / sums.requests,
        outputTokens: sums.finished === 0 ? 0 : sums.outputs / sums.finished,
        prefixHitRatio: sums.promptTokens === 0 ? 0 : sums.cachedTokens / sums.promptTokens,
        ...(ttftMs === undefined ? {} : { ttftMs }),
        ...(itlMs === undefined ? {} : { itlMs }),
        workers: { prefill: sums.prefillMs / durationMs, decode: sums.decodeMs / durationMs },
        ...pressure,
      };
      fromMs = nowMs;
      sums = emptySums();
      return interval;
    },
  };
}

interface Sums {
  prefillMs: number;
  decodeMs: number;
  requests: number;
  inputs: number;
  outputs: number;
  finished: number;
  promptTokens: number;
  cachedTokens: number;
  readonly ttfts: number[];
  readonly itls: number[];
}

function emptySums(): Sums {
  return {
    prefillMs: 0,
    decodeMs: 0,
    requests: 0,
    inputs: 0,
    outputs: 0,
    finished: 0,
    promptTokens: 0,
    cachedTokens: 0,
    ttfts: [],
    itls: [],
  };
}

/** The smallest value that at least this share of values stays within. */
export function percentileOf(values: readonly number[], percentile: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((percentile / 100) * sorted.length) - 1))]!;
}

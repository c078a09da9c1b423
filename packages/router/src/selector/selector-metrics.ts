import type { Counter, Gauge, Meter } from "@stator/core";

/** What a selector measures of one worker. */
export interface WorkerSeries {
  /** Cached tokens as predicted when a request was routed, and as the worker then reported them. */
  predicted(predictedTokens: number, actualTokens: number): void;
  /** Whether its predictions are used. */
  trusted(isDistrusted: boolean): void;
  /** A snapshot differed from the index, though both had seen the same events. */
  mismatched(): void;
  /** It left. */
  forget(): void;
}

/** Predictions against what came true, and the index against its workers, by worker. */
export function createSelectorMetrics(meter: Meter): (worker: string) => WorkerSeries {
  const labels = ["worker"] as const;
  const predicted = meter.counter({
    name: "router_predicted_cached",
    unit: "tokens",
    help: "Prompt tokens that the router expected in a worker's KV cache, of requests whose worker said how many were.",
    labels,
  });
  const actual = meter.counter({
    name: "router_actual_cached",
    unit: "tokens",
    help: "Prompt tokens that workers found in their KV cache, of the same requests.",
    labels,
  });
  const distrusted = meter.gauge({
    name: "router_predictions_distrusted",
    help: "1 while a worker is routed by load alone because its predicted cached tokens do not come true.",
    labels,
  });
  const mismatches = meter.counter({
    name: "kv_index_digest_mismatch",
    help: "Snapshots of a worker that differed from the index after the same events; the index was replaced.",
    labels,
  });
  return (worker) => {
    const who = { worker };
    const series: { predicted: Counter; actual: Counter; distrusted: Gauge; mismatches: Counter } = {
      predicted: predicted.labels(who),
      actual: actual.labels(who),
      distrusted: distrusted.labels(who),
      mismatches: mismatches.labels(who),
    };
    series.distrusted.set(0);
    return {
      predicted(predictedTokens, actualTokens) {
        series.predicted.add(predictedTokens);
        series.actual.add(actualTokens);
      },
      trusted: (isDistrusted) => series.distrusted.set(isDistrusted ? 1 : 0),
      mismatched: () => series.mismatches.add(),
      forget: () => distrusted.remove(who),
    };
  };
}

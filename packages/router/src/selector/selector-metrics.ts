import type { Counter, Gauge, Meter } from "@stator/core";
import type { PredictionRecord, ProbeRecord } from "./selector.ts";

/** What a selector measures of one worker. */
export interface WorkerSeries {
  /** Cached tokens as predicted when a request was routed, and as the worker then reported them. */
  predicted(predictedTokens: number, actualTokens: number): void;
  /** Whether predicted and actual cached tokens differ persistently, and to which side. */
  gap(record: Pick<PredictionRecord, "isDistrusted" | "isUnderstated">): void;
  /** Whether what it computes fails to come back as KV events. */
  silent(isSilent: boolean): void;
  /** A prompt of its traffic came back as KV events. */
  proven(): void;
  /** What a probe of its KV events came to. */
  probed(outcome: ProbeRecord["outcome"]): void;
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
  const understated = meter.gauge({
    name: "router_predictions_understated",
    help: "1 while a worker finds far more in its KV cache than its KV events say: this router's own decisions count as well.",
    labels,
  });
  const silent = meter.gauge({
    name: "router_events_missing",
    help: "1 while the blocks that a worker computes do not come back as KV events: it is routed by this router's own decisions.",
    labels,
  });
  const probes = meter.counter({
    name: "router_probes",
    help: "Probes of the way from a stored block to a KV event, by what they came to.",
    labels: ["outcome"],
  });
  const probeFailed = meter.gauge({
    name: "router_probe_failed",
    help: "1 while the blocks of a probe prompt did not come back as KV events from a worker, nor those of a prompt since.",
    labels,
  });
  const mismatches = meter.counter({
    name: "kv_index_digest_mismatch",
    help: "Snapshots of a worker that differed from the index after the same events; the index was replaced.",
    labels,
  });
  return (worker) => {
    const who = { worker };
    const series: {
      predicted: Counter;
      actual: Counter;
      distrusted: Gauge;
      understated: Gauge;
      silent: Gauge;
      probeFailed: Gauge;
      mismatches: Counter;
    } = {
      predicted: predicted.labels(who),
      actual: actual.labels(who),
      distrusted: distrusted.labels(who),
      understated: understated.labels(who),
      silent: silent.labels(who),
      probeFailed: probeFailed.labels(who),
      mismatches: mismatches.labels(who),
    };
    series.distrusted.set(0);
    series.understated.set(0);
    series.silent.set(0);
    series.probeFailed.set(0);
    return {
      predicted(predictedTokens, actualTokens) {
        series.predicted.add(predictedTokens);
        series.actual.add(actualTokens);
      },
      gap({ isDistrusted, isUnderstated }) {
        series.distrusted.set(isDistrusted ? 1 : 0);
        series.understated.set(isUnderstated ? 1 : 0);
      },
      silent: (isSilent) => series.silent.set(isSilent ? 1 : 0),
      probed(outcome) {
        probes.labels({ outcome }).add();
        series.probeFailed.set(outcome === "failed" ? 1 : 0);
      },
      proven() {
        series.probeFailed.set(0);
      },
      mismatched: () => series.mismatches.add(),
      forget() {
        distrusted.remove(who);
        understated.remove(who);
        silent.remove(who);
        probeFailed.remove(who);
      },
    };
  };
}

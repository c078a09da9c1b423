import type { Counter, Gauge, Histogram } from "@stator/core";
import type { ServingFamilies } from "./serving-families.ts";
import { type Slo, type SloName, slosFor } from "./slo.ts";
import { SloSeries } from "./slo-series.ts";

/** The series of one model, looked up once: requests of a known model pay no label lookups per token. */
export interface ModelSeries {
  readonly active: Gauge;
  readonly ttft: Histogram;
  readonly itl: Histogram;
  readonly duration: Histogram;
  readonly inputLength: Histogram;
  readonly outputLength: Histogram;
  readonly cached: Histogram;
  readonly inputTokens: Counter;
  readonly outputTokens: Counter;
  readonly hitPredicted: Histogram;
  readonly hitActual: Histogram;
  readonly slo: Readonly<Partial<Record<SloName, SloSeries>>>;
}

/** Series per model, made at its first request; its objectives start at 0 of 0. */
export function createModelSeries(
  families: ServingFamilies,
  slos: readonly Slo[],
): (model: string) => ModelSeries {
  const known = new Map<string, ModelSeries>();
  return (model) => {
    let series = known.get(model);
    if (series === undefined) {
      series = make(families, slos, model);
      // The families fold what is too much; the memory of this map must not grow where they do not.
      if (known.size < 1_000) known.set(model, series);
    }
    return series;
  };
}

function make(families: ServingFamilies, slos: readonly Slo[], model: string): ModelSeries {
  const slo: Partial<Record<SloName, SloSeries>> = {};
  for (const { name, objective, thresholdSeconds } of slosFor(slos, model)) {
    const labels = { model, slo: name };
    families.sloObjective.labels(labels).set(objective);
    if (thresholdSeconds !== undefined) families.sloThreshold.labels(labels).set(thresholdSeconds);
    slo[name] = new SloSeries(
      families.sloGood.labels(labels),
      families.sloEvents.labels(labels),
      thresholdSeconds ?? Number.POSITIVE_INFINITY,
    );
  }
  return {
    active: families.active.labels({ model }),
    ttft: families.ttft.labels({ model }),
    itl: families.itl.labels({ model }),
    duration: families.duration.labels({ model }),
    inputLength: families.inputLength.labels({ model }),
    outputLength: families.outputLength.labels({ model }),
    cached: families.cached.labels({ model }),
    inputTokens: families.inputTokens.labels({ model }),
    outputTokens: families.outputTokens.labels({ model }),
    hitPredicted: families.hitRatio.labels({ model, kind: "predicted" }),
    hitActual: families.hitRatio.labels({ model, kind: "actual" }),
    slo,
  };
}

import { invalid } from "../metrics-error.ts";

/** What an objective is about. Latencies count events at or below a threshold; availability counts answered requests. */
export type SloName = "availability" | "ttft" | "itl" | "duration";

/** A service level objective. Its threshold becomes a bucket edge. */
export interface Slo {
  readonly name: SloName;
  /** Share of good events, e.g. 0.999. Between 0 and 1, both excluded. */
  readonly objective: number;
  /** Upper bound of a good event, in seconds. Latencies only. */
  readonly thresholdSeconds?: number;
  /** Only this model; default every model. A model's own objective of the same name replaces the general one. */
  readonly model?: string;
}

/** Availability 99.9 %; first token within 2 s and tokens within 100 ms for 99 %. */
export const defaultSlos: readonly Slo[] = [
  { name: "availability", objective: 0.999 },
  { name: "ttft", objective: 0.99, thresholdSeconds: 2 },
  { name: "itl", objective: 0.99, thresholdSeconds: 0.1 },
];

/**
 * The objectives, checked.
 *
 * @throws MetricsError `METRICS_OPTION_INVALID`.
 */
export function checkedSlos(slos: readonly Slo[]): readonly Slo[] {
  for (const slo of slos) {
    if (!(slo.objective > 0 && slo.objective < 1)) {
      throw invalid(
        "METRICS_OPTION_INVALID",
        `slos: the objective of ${slo.name} is ${slo.objective}; give a share between 0 and 1, such as 0.99.`,
      );
    }
    const threshold = slo.thresholdSeconds;
    if (
      slo.name !== "availability" &&
      !(threshold !== undefined && threshold > 0 && Number.isFinite(threshold))
    ) {
      throw invalid(
        "METRICS_OPTION_INVALID",
        `slos: ${slo.name} needs thresholdSeconds above 0, got ${String(threshold)}.`,
      );
    }
  }
  return slos;
}

/** The objectives that hold for one model. */
export function slosFor(slos: readonly Slo[], model: string): readonly Slo[] {
  const own = slos.filter((slo) => slo.model === model);
  return [...own, ...slos.filter((slo) => slo.model === undefined && !own.some((o) => o.name === slo.name))];
}

/** Thresholds of one objective over all models, to be bucket edges. */
export function sloEdges(slos: readonly Slo[], name: SloName): readonly number[] {
  return slos.filter((slo) => slo.name === name).flatMap((slo) => slo.thresholdSeconds ?? []);
}

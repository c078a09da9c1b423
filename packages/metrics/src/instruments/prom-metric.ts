import { Counter, Gauge, Histogram, type Registry, type RegistryContentType } from "prom-client";
import type { Sample } from "./family.ts";

/** A source of samples for one exposed metric. */
export interface SampleSource {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labelNames: readonly string[];
  samples(): Sample[];
}

/** A registry of prom-client in either content type; this package's own copy or the user's. */
export type PromRegistry = Registry<RegistryContentType> | Registry;

interface Reading {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: Sample[];
  readonly aggregator: string;
}

/**
 * Puts a family into a prom-client registry: an ordinary prom-client metric whose figures are read from the typed
 * arrays at each scrape.
 */
export function registerSource(registry: PromRegistry, source: SampleSource): void {
  const Kind = { counter: Counter, gauge: Gauge, histogram: Histogram }[source.type];
  const metric = new Kind({
    name: source.name,
    help: source.help,
    labelNames: [...source.labelNames],
    registers: [],
  });
  // prom-client strips `_total` from the name of its metric when the registry speaks OpenMetrics, so it is read back.
  const named = metric as unknown as { readonly name: string };
  const getForPromString = (): Promise<Reading> =>
    Promise.resolve({
      name: named.name,
      help: source.help,
      type: source.type,
      values: source.samples(),
      aggregator: source.type === "gauge" ? "first" : "sum",
    });
  const get = async (): Promise<Reading> => {
    const reading = await getForPromString();
    const values = reading.values.map((v) => ({
      ...v,
      labels: { ...v.sharedLabels, ...v.labels },
      sharedLabels: {},
    }));
    return { ...reading, values };
  };
  Object.assign(metric, { get, getForPromString });
  (registry as Registry).registerMetric(metric as Gauge);
}

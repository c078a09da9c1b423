import type {
  Counter,
  Family,
  Gauge,
  Histogram,
  HistogramOptions,
  InstrumentOptions,
  Meter,
} from "@stator/core";
import { invalid } from "../metrics-error.ts";
import type { FamilyOptions } from "./family.ts";
import { HistogramFamily } from "./histogram-family.ts";
import { exposedName, type InstrumentKind } from "./naming.ts";
import { type PromRegistry, registerSource } from "./prom-metric.ts";
import { createSeriesBudget, type SeriesBudget } from "./series-budget.ts";
import { CounterFamily, GaugeFamily } from "./value-family.ts";

type AnyFamily = CounterFamily | GaugeFamily | HistogramFamily;

interface Registered {
  readonly family: AnyFamily;
  readonly shape: string;
}

export interface MeterCoreOptions {
  readonly registry: PromRegistry;
  readonly maxSeries: number;
  readonly maxLabelSets: number;
  readonly foldedName: string;
}

/** Where a scope puts its metrics: their prefix, and labels that all of them carry. */
interface Placement {
  readonly prefix: string;
  readonly constantLabels: Readonly<Record<string, string>>;
}

/** All families of a process, by exposed name, in one registry. */
export interface MeterCore {
  meter(placement: Placement): Meter;
  /** A family by its exposed name, for compatibility names and dashboards. */
  family(name: string): AnyFamily | undefined;
  readonly budget: SeriesBudget;
}

/**
 * Makes families and keeps them. Asking again for the same name with the same shape answers the same family, so that
 * several pools of one process count together.
 */
export function createMeterCore(options: MeterCoreOptions): MeterCore {
  const { registry } = options;
  const families = new Map<string, Registered>();
  const budget = createSeriesBudget(options.maxSeries);
  const folded = new CounterFamily({
    name: options.foldedName,
    help: "Label sets that the cardinality guard folded into `other`, by metric; raise the limits or drop a label.",
    labelNames: ["metric"],
    constantLabels: {},
    maxLabelSets: Number.POSITIVE_INFINITY,
    budget: createSeriesBudget(Number.POSITIVE_INFINITY),
    onFold: () => {},
  });
  registerSource(registry, folded);

  function find(
    kind: InstrumentKind,
    placement: Placement,
    o: InstrumentOptions | HistogramOptions,
  ): AnyFamily {
    const labels = o.labels ?? [];
    const name = exposedName({ prefix: placement.prefix, name: o.name, unit: o.unit, labels, kind });
    if (o.help.trim() === "")
      throw invalid(
        "METRICS_NAME_INVALID",
        `Metric "${o.name}" has no help text; say in one sentence what it counts.`,
      );
    const constantLabels = Object.fromEntries(
      Object.entries(placement.constantLabels).filter(([key]) => !labels.includes(key)),
    );
    const buckets = "buckets" in o ? checkedBuckets(o) : undefined;
    const shape = JSON.stringify([kind, labels, constantLabels, buckets]);
    const known = families.get(name);
    if (known !== undefined) {
      if (known.shape === shape) return known.family;
      throw invalid(
        "METRICS_CONFLICT",
        `Metric "${name}" exists already as ${known.shape}, not as ${shape}; use another name, or the same kind, labels and buckets.`,
      );
    }
    const common: FamilyOptions = {
      name,
      help: o.help,
      labelNames: labels,
      constantLabels,
      maxLabelSets: options.maxLabelSets,
      budget,
      onFold: () => folded.labels({ metric: name }).add(),
    };
    const family =
      buckets !== undefined
        ? new HistogramFamily({ ...common, buckets })
        : kind === "counter"
          ? new CounterFamily(common)
          : new GaugeFamily(common);
    registerSource(registry, family);
    families.set(name, { family, shape });
    // A series without labels is known from the start: 0 is a figure, absence is not.
    if (labels.length === 0) family.labels({});
    return family;
  }

  return {
    budget,
    family: (name) => families.get(name)?.family,
    meter: (placement) => ({
      counter: <Name extends string>(o: InstrumentOptions<Name>) =>
        find("counter", placement, o) as Family<Counter, Name>,
      gauge: <Name extends string>(o: InstrumentOptions<Name>) =>
        find("gauge", placement, o) as Family<Gauge, Name>,
      histogram: <Name extends string>(o: HistogramOptions<Name>) =>
        find("histogram", placement, o) as Family<Histogram, Name>,
    }),
  };
}

function checkedBuckets(o: HistogramOptions): readonly number[] {
  const rises = o.buckets.every(
    (edge, i) => Number.isFinite(edge) && (i === 0 || edge > (o.buckets[i - 1] as number)),
  );
  if (o.buckets.length === 0 || !rises) {
    throw invalid(
      "METRICS_BUCKETS_INVALID",
      `Metric "${o.name}": buckets must be finite and ascending, got [${o.buckets.join(", ")}]; "+Inf" is added for you.`,
    );
  }
  return o.buckets;
}

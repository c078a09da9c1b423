import type { Labels } from "@stator/core";
import type { SeriesBudget } from "./series-budget.ts";
import { SeriesTable } from "./series-table.ts";

/** A sample as prom-client writes it. `sharedLabels` is flattened once per object, so it is kept. */
export interface Sample {
  readonly labels: Record<string, string | number>;
  readonly sharedLabels: Record<string, string>;
  readonly metricName?: string;
  value: number;
}

/** What a family needs besides its own kind. */
export interface FamilyOptions {
  /** Exposed name. */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly constantLabels: Readonly<Record<string, string>>;
  readonly maxLabelSets: number;
  readonly budget: SeriesBudget;
  onFold(): void;
}

/** One series: where its figures lie in the family's typed arrays. */
export interface Slot {
  index: number;
  readonly labels: Record<string, string>;
}

/**
 * Series of one metric with their figures in typed arrays. Slot 0 takes the writes of removed series, so that a handle
 * kept by a caller can never write into its successor.
 */
export abstract class SeriesFamily<Series extends Slot> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  abstract readonly type: "counter" | "gauge" | "histogram";
  protected readonly slots: Series[] = [];
  readonly #table: SeriesTable<Series>;
  readonly #free: number[] = [];
  #next = 1;
  #capacity = 8;

  constructor(options: FamilyOptions, seriesPerSet: number) {
    this.name = options.name;
    this.help = options.help;
    this.labelNames = options.labelNames;
    this.#table = new SeriesTable<Series>({
      labelNames: options.labelNames,
      maxLabelSets: options.maxLabelSets,
      budget: options.budget,
      seriesPerSet,
      onFold: options.onFold,
      create: (values) => {
        const labels: Record<string, string> = { ...options.constantLabels };
        options.labelNames.forEach((name, i) => (labels[name] = values[i] as string));
        const series = this.createSeries(this.#take(), labels);
        this.slots.push(series);
        return series;
      },
      discard: (series) => {
        this.slots.splice(this.slots.indexOf(series), 1);
        this.clear(series.index);
        this.#free.push(series.index);
        series.index = 0;
      },
    });
  }

  labels(values: Labels): Series {
    return this.#table.get(values);
  }

  remove(values: Labels): void {
    this.#table.remove(values);
  }

  /** Label sets held now. */
  get size(): number {
    return this.slots.length;
  }

  abstract samples(): Sample[];
  protected abstract createSeries(index: number, labels: Record<string, string>): Series;
  protected abstract grow(capacity: number): void;
  protected abstract clear(index: number): void;

  #take(): number {
    const reused = this.#free.pop();
    if (reused !== undefined) return reused;
    const index = this.#next++;
    if (index >= this.#capacity) {
      this.#capacity *= 2;
      this.grow(this.#capacity);
    }
    return index;
  }
}

/** The first capacity of the arrays of a family. */
export const firstCapacity: number = 8;

/** `values` in an array of another length. */
export function regrown(values: Float64Array, length: number): Float64Array {
  const larger = new Float64Array(length);
  larger.set(values);
  return larger;
}

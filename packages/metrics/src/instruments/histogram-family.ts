import type { Histogram } from "@stator/core";
import {
  type FamilyOptions,
  firstCapacity,
  regrown,
  type Sample,
  SeriesFamily,
  type Slot,
} from "./family.ts";

class HistogramSeries implements Histogram, Slot {
  index: number;
  readonly labels: Record<string, string>;
  readonly samples: readonly Sample[];
  readonly #family: HistogramFamily;

  constructor(family: HistogramFamily, index: number, labels: Record<string, string>) {
    this.#family = family;
    this.index = index;
    this.labels = labels;
    const sample = (suffix: string, own: Record<string, string | number>): Sample => ({
      labels: own,
      sharedLabels: labels,
      metricName: `${family.name}_${suffix}`,
      value: 0,
    });
    this.samples = [
      ...Array.from(family.edges, (le) => sample("bucket", { le })),
      sample("bucket", { le: "+Inf" }),
      sample("sum", {}),
      sample("count", {}),
    ];
  }

  observe(value: number, times = 1): void {
    this.#family.record(this.index, value, times);
  }
}

/** Histograms: counts per bucket (not cumulative) and a sum per series. */
export class HistogramFamily extends SeriesFamily<HistogramSeries> {
  override readonly type = "histogram";
  readonly edges: Float64Array;
  readonly #width: number;
  #counts: Float64Array;
  #sums: Float64Array = new Float64Array(firstCapacity);

  constructor(options: FamilyOptions & { readonly buckets: readonly number[] }) {
    super(options, options.buckets.length + 3);
    this.edges = Float64Array.from(options.buckets);
    this.#width = this.edges.length + 1;
    this.#counts = new Float64Array(firstCapacity * this.#width);
  }

  record(index: number, value: number, times: number): void {
    const edges = this.edges;
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (edges[middle] as number)) high = middle;
      else low = middle + 1;
    }
    // NaN fails every comparison; it must not poison the sum for good.
    if (value !== value) return;
    const at = index * this.#width + low;
    this.#counts[at] = (this.#counts[at] as number) + times;
    this.#sums[index] = (this.#sums[index] as number) + value * times;
  }

  override samples(): Sample[] {
    const all: Sample[] = [];
    for (const slot of this.slots) {
      let total = 0;
      for (let i = 0; i < this.#width; i++) {
        total += this.#counts[slot.index * this.#width + i] as number;
        (slot.samples[i] as Sample).value = total;
      }
      (slot.samples[this.#width] as Sample).value = this.#sums[slot.index] as number;
      (slot.samples[this.#width + 1] as Sample).value = total;
      for (const sample of slot.samples) all.push(sample);
    }
    return all;
  }

  protected override createSeries(index: number, labels: Record<string, string>): HistogramSeries {
    return new HistogramSeries(this, index, labels);
  }

  protected override grow(capacity: number): void {
    this.#counts = regrown(this.#counts, capacity * this.#width);
    this.#sums = regrown(this.#sums, capacity);
  }

  protected override clear(index: number): void {
    this.#counts.fill(0, index * this.#width, (index + 1) * this.#width);
    this.#sums[index] = 0;
  }
}

import type { Counter, Gauge } from "@stator/core";
import {
  type FamilyOptions,
  firstCapacity,
  regrown,
  type Sample,
  SeriesFamily,
  type Slot,
} from "./family.ts";

/** Counters or gauges: one figure per series. */
abstract class ValueFamily<Series extends Slot & { readonly sample: Sample }> extends SeriesFamily<Series> {
  values: Float64Array = new Float64Array(firstCapacity);

  constructor(options: FamilyOptions) {
    super(options, 1);
  }

  override samples(): Sample[] {
    return this.slots.map((slot) => {
      slot.sample.value = this.values[slot.index] as number;
      return slot.sample;
    });
  }

  protected override grow(capacity: number): void {
    this.values = regrown(this.values, capacity);
  }

  protected override clear(index: number): void {
    this.values[index] = 0;
  }
}

class CounterSeries implements Counter, Slot {
  index: number;
  readonly labels: Record<string, string>;
  readonly sample: Sample;
  readonly #family: CounterFamily;

  constructor(family: CounterFamily, index: number, labels: Record<string, string>) {
    this.#family = family;
    this.index = index;
    this.labels = labels;
    this.sample = { labels: {}, sharedLabels: labels, value: 0 };
  }

  add(value = 1): void {
    if (value > 0) {
      const values = this.#family.values;
      values[this.index] = (values[this.index] as number) + value;
    }
  }
}

/** Counters. What is not above 0 is not counted: a counter never goes back. */
export class CounterFamily extends ValueFamily<CounterSeries> {
  override readonly type = "counter";

  protected override createSeries(index: number, labels: Record<string, string>): CounterSeries {
    return new CounterSeries(this, index, labels);
  }
}

class GaugeSeries implements Gauge, Slot {
  index: number;
  readonly labels: Record<string, string>;
  readonly sample: Sample;
  readonly #family: GaugeFamily;

  constructor(family: GaugeFamily, index: number, labels: Record<string, string>) {
    this.#family = family;
    this.index = index;
    this.labels = labels;
    this.sample = { labels: {}, sharedLabels: labels, value: 0 };
  }

  set(value: number): void {
    this.#family.values[this.index] = value;
  }

  add(value: number): void {
    const values = this.#family.values;
    values[this.index] = (values[this.index] as number) + value;
  }
}

export class GaugeFamily extends ValueFamily<GaugeSeries> {
  override readonly type = "gauge";

  protected override createSeries(index: number, labels: Record<string, string>): GaugeSeries {
    return new GaugeSeries(this, index, labels);
  }
}

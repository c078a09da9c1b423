/** Label values of one measurement, by label name. */
export type Labels<Name extends string = string> = Readonly<Record<Name, string>>;

export interface InstrumentOptions<Name extends string = string> {
  /** Snake case, without the `stator_` prefix and without unit or `_total` suffix: those are added. */
  readonly name: string;
  readonly help: string;
  /** Base unit, appended to the name: `seconds`, `bytes`, `ratio`, `tokens`, `requests`, … Omit for plain counts. */
  readonly unit?: string;
  readonly labels?: readonly Name[];
}

export interface HistogramOptions<Name extends string = string> extends InstrumentOptions<Name> {
  /** Ascending upper bounds in the metric's unit; `+Inf` is implied. */
  readonly buckets: readonly number[];
}

/** One series of a counter. */
export interface Counter {
  add(value?: number): void;
}

/** One series of a gauge. */
export interface Gauge {
  set(value: number): void;
  add(value: number): void;
}

/** One series of a histogram. `times` records the same value several times at the cost of one. */
export interface Histogram {
  observe(value: number, times?: number): void;
}

/** A family of series; `labels` finds or makes one, to be kept by the caller on hot paths. */
export interface Family<Series, Name extends string = string> {
  labels(values: Labels<Name>): Series;
  /** Forgets one series, for workers that left. */
  remove(values: Labels<Name>): void;
}

/** How libraries measure, without knowing any metrics system. `@stator/metrics` implements it. */
export interface Meter {
  counter<Name extends string = never>(options: InstrumentOptions<Name>): Family<Counter, Name>;
  gauge<Name extends string = never>(options: InstrumentOptions<Name>): Family<Gauge, Name>;
  histogram<Name extends string = never>(options: HistogramOptions<Name>): Family<Histogram, Name>;
}

const nothing = (): void => {};
const noSeries: Counter & Gauge & Histogram = { add: nothing, set: nothing, observe: nothing };
const noFamily: Family<typeof noSeries, never> = { labels: () => noSeries, remove: nothing };

/** Measures nothing: every library's default. */
export const noopMeter: Meter = {
  counter: () => noFamily,
  gauge: () => noFamily,
  histogram: () => noFamily,
};

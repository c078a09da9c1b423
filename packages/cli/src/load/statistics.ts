/** Percentiles of a sample, in the sample's unit. */
export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Sorts a copy and reads nearest-rank percentiles; all zero for an empty sample. */
export function distribution(sample: readonly number[]): Distribution {
  const sorted = Float64Array.from(sample).sort();
  const at = (q: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? 0);
  const sum = sorted.reduce((total, value) => total + value, 0);
  return {
    count: sorted.length,
    mean: sorted.length === 0 ? 0 : round(sum / sorted.length),
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    max: at(1),
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

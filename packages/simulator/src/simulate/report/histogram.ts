/** Where values lie. Milliseconds for times. */
export interface Distribution {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Counts of values in cells 1 % wide: memory does not grow with the number of values. */
export interface Histogram {
  add(value: number, count?: number): void;
  read(): Distribution;
}

const CELL = Math.log(1.01);
const LEAST = 1e-3;

export function createHistogram(): Histogram {
  const cells = new Map<number, number>();
  let total = 0;
  let sum = 0;
  let max = 0;
  return {
    add(value, count = 1) {
      if (count <= 0) return;
      const cell = Math.round(Math.log(Math.max(LEAST, value) / LEAST) / CELL);
      cells.set(cell, (cells.get(cell) ?? 0) + count);
      total += count;
      sum += value * count;
      max = Math.max(max, value);
    },
    read() {
      const sorted = [...cells].sort(([a], [b]) => a - b);
      const at = (share: number): number => {
        let left = share * total;
        for (const [cell, count] of sorted) {
          left -= count;
          if (left <= 0) return rounded(Math.min(max, LEAST * Math.exp(cell * CELL)));
        }
        return rounded(max);
      };
      return {
        mean: rounded(total === 0 ? 0 : sum / total),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        max: rounded(max),
      };
    },
  };
}

/** Exact: sorts the values. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return {
    mean: rounded(sorted.reduce((sum, value) => sum + value, 0) / Math.max(1, sorted.length)),
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max: rounded(sorted.at(-1) ?? 0),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

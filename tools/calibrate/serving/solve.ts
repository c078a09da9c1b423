// Robust maximum a posteriori: Gauss-Newton, reweighted so that small residuals cost their absolute value and wild ones a
// bounded amount, and a normal prior on every level.
import { termValues } from "./hierarchy.ts";
import type { Hierarchy } from "./hierarchy.ts";

/** One residual: its value, and its derivative by each term's logarithm added to `gradient`. */
export type Residual = (terms: Float64Array, gradient: Float64Array | undefined) => number;

export interface Problem {
  readonly hierarchy: Hierarchy;
  readonly residuals: readonly Residual[];
  readonly weights: readonly number[];
  /** Residual from which a row counts less and less. */
  readonly cutoff: number;
  /** How much of a row's absolute residual weighs as one unit against the priors. */
  readonly noise: number;
}

/** The levels' logarithms that explain the residuals best. */
export function solve(
  { hierarchy, residuals, weights, cutoff, noise }: Problem,
  rounds: number = 40,
): Float64Array {
  const { levels } = hierarchy;
  const n = levels.length;
  const termLevels = [...hierarchy.terms.values()].map((term) => term.levels);
  const precision = levels.map((level) => 1 / level.spread ** 2);
  let values = Float64Array.from(levels, (level) => level.start);
  const cost = (at: Float64Array): number => {
    const terms = termValues(hierarchy, at);
    let sum = 0;
    for (let i = 0; i < residuals.length; i++)
      sum += weights[i]! * loss(residuals[i]!(terms, undefined), cutoff);
    sum /= noise;
    for (let p = 0; p < n; p++) sum += 0.5 * precision[p]! * (at[p]! - levels[p]!.start) ** 2;
    return sum;
  };
  let best = cost(values);
  let damping = 1e-3;
  const byTerm = new Float64Array(hierarchy.terms.size);
  const byLevel = new Float64Array(n);
  for (let round = 0; round < rounds; round++) {
    const terms = termValues(hierarchy, values);
    const normal = levels.map(() => new Float64Array(n));
    const gradient = levels.map((level, p) => -(values[p]! - level.start) * precision[p]!);
    for (let i = 0; i < residuals.length; i++) {
      byTerm.fill(0);
      byLevel.fill(0);
      const residual = residuals[i]!(terms, byTerm);
      const weight = (weights[i]! * slope(residual, cutoff)) / noise;
      const touched: number[] = [];
      for (let t = 0; t < byTerm.length; t++) {
        if (byTerm[t] === 0) continue;
        for (const level of termLevels[t]!) {
          if (byLevel[level] === 0) touched.push(level);
          byLevel[level] = byLevel[level]! + byTerm[t]!;
        }
      }
      for (const p of touched) {
        const scaled = weight * byLevel[p]!;
        gradient[p] = gradient[p]! - scaled * residual;
        const row = normal[p]!;
        for (const q of touched) row[q] = row[q]! + scaled * byLevel[q]!;
      }
    }
    let gain = 0;
    for (let attempt = 0; attempt < 8 && gain === 0; attempt++) {
      const step = cholesky(
        normal.map((row, p) =>
          row.map((value, q) => (p === q ? value * (1 + damping) + precision[p]! * (1 + damping) : value)),
        ),
        gradient,
      );
      const next = values.map((value, p) => value + Math.max(-0.7, Math.min(0.7, step[p]!)));
      const total = cost(next);
      if (total < best) {
        gain = best - total;
        best = total;
        values = next;
        damping = Math.max(1e-6, damping / 4);
      } else damping *= 8;
    }
    if (gain < 1e-5 * best) break;
  }
  return values;
}

// |r|, smoothed over 3 %; past the cutoff it grows with the logarithm only.
function loss(residual: number, cutoff: number): number {
  const size = Math.hypot(residual, 0.03);
  return size < cutoff ? size : cutoff * (1 + Math.log(size / cutoff));
}

function slope(residual: number, cutoff: number): number {
  const size = Math.hypot(residual, 0.03);
  return size < cutoff ? 1 / size : cutoff / (size * size);
}

function cholesky(matrix: readonly Float64Array[], right: readonly number[]): Float64Array {
  const n = right.length;
  const l = matrix;
  for (let j = 0; j < n; j++) {
    const row = l[j]!;
    for (let k = 0; k < j; k++) {
      const other = l[k]!;
      let sum = row[k]!;
      for (let i = 0; i < k; i++) sum -= row[i]! * other[i]!;
      row[k] = sum / other[k]!;
    }
    let sum = row[j]!;
    for (let i = 0; i < j; i++) sum -= row[i]! * row[i]!;
    row[j] = Math.sqrt(Math.max(1e-12, sum));
  }
  const x = Float64Array.from(right);
  for (let i = 0; i < n; i++) {
    const row = l[i]!;
    for (let k = 0; k < i; k++) x[i] = x[i]! - row[k]! * x[k]!;
    x[i] = x[i]! / row[i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] = x[i]! - l[k]![i]! * x[k]!;
    x[i] = x[i]! / l[i]![i]!;
  }
  return x;
}

/**
 * Weights w that minimise |rows · w − targets|², by the normal equations with a small ridge, so that columns that depend
 * on each other do no harm. For a handful of columns.
 */
export function leastSquares(rows: readonly (readonly number[])[], targets: readonly number[]): number[] {
  const n = rows[0]?.length ?? 0;
  const a = Array.from({ length: n }, () => new Float64Array(n + 1));
  rows.forEach((row, r) => {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) a[i]![j]! += row[i]! * row[j]!;
      a[i]![n]! += row[i]! * targets[r]!;
    }
  });
  const ridge = 1e-9 * Math.max(1, ...a.map((row, i) => row[i]!));
  for (let i = 0; i < n; i++) a[i]![i]! += ridge;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(a[r]![i]!) > Math.abs(a[pivot]![i]!)) pivot = r;
    [a[i], a[pivot]] = [a[pivot]!, a[i]!];
    for (let r = i + 1; r < n; r++) {
      const factor = a[r]![i]! / a[i]![i]!;
      for (let c = i; c <= n; c++) a[r]![c]! -= factor * a[i]![c]!;
    }
  }
  const weights = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = a[i]![n]!;
    for (let c = i + 1; c < n; c++) sum -= a[i]![c]! * weights[c]!;
    weights[i] = sum / a[i]![i]!;
  }
  return weights;
}

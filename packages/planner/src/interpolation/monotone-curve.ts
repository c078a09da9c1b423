/** A value read from measurements; `isClamped` when the argument was outside of what was measured. */
export interface Reading {
  readonly value: number;
  readonly isClamped: boolean;
}

/** A non-decreasing function through measured points. */
export interface MonotoneCurve {
  at(x: number): Reading;
  /** Largest x in range whose value is at most `y`; undefined when even the first is above it. */
  largestWithin(y: number): number | undefined;
  readonly from: number;
  readonly to: number;
}

/**
 * Monotone cubic interpolation (Fritsch and Carlson 1980, SIAM J. Numer. Anal. 17). Noise that would make the curve fall
 * is first pooled away (pool-adjacent-violators), because more tokens never take less time.
 *
 * @param points (x, y) in any order; equal x are averaged. At least one.
 */
export function monotoneCurve(points: readonly (readonly [x: number, y: number])[]): MonotoneCurve {
  const { xs, ys } = pooled(points);
  const n = xs.length;
  const slopes = tangents(xs, ys);
  const from = xs[0]!;
  const to = xs[n - 1]!;

  const value = (x: number): number => {
    if (x <= from) return ys[0]!;
    if (x >= to) return ys[n - 1]!;
    let low = 0;
    let high = n - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle]! <= x) low = middle;
      else high = middle;
    }
    const h = xs[high]! - xs[low]!;
    const t = (x - xs[low]!) / h;
    const t2 = t * t;
    const t3 = t2 * t;
    return (
      (2 * t3 - 3 * t2 + 1) * ys[low]! +
      (t3 - 2 * t2 + t) * h * slopes[low]! +
      (3 * t2 - 2 * t3) * ys[high]! +
      (t3 - t2) * h * slopes[high]!
    );
  };

  return {
    from,
    to,
    at: (x) => ({ value: value(x), isClamped: x < from || x > to }),
    largestWithin(y) {
      if (value(from) > y) return undefined;
      if (value(to) <= y) return to;
      let low = from;
      let high = to;
      for (let i = 0; i < 60; i++) {
        const middle = (low + high) / 2;
        if (value(middle) <= y) low = middle;
        else high = middle;
      }
      return low;
    },
  };
}

function pooled(points: readonly (readonly [number, number])[]): { xs: number[]; ys: number[] } {
  const sorted = [...points].sort((a, b) => a[0] - b[0]);
  const blocks: { xs: number[]; sum: number }[] = [];
  for (const [x, y] of sorted) {
    blocks.push({ xs: [x], sum: y });
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1]!;
      const before = blocks[blocks.length - 2]!;
      const isSameX = before.xs[before.xs.length - 1] === last.xs[0];
      if (!isSameX && before.sum / before.xs.length <= last.sum / last.xs.length) break;
      blocks.pop();
      before.xs.push(...last.xs);
      before.sum += last.sum;
    }
  }
  const xs: number[] = [];
  const ys: number[] = [];
  for (const block of blocks) {
    for (const x of block.xs) {
      if (xs[xs.length - 1] === x) continue;
      xs.push(x);
      ys.push(block.sum / block.xs.length);
    }
  }
  return { xs, ys };
}

function tangents(xs: readonly number[], ys: readonly number[]): number[] {
  const n = xs.length;
  if (n === 1) return [0];
  const secant = (i: number): number => (ys[i + 1]! - ys[i]!) / (xs[i + 1]! - xs[i]!);
  const slopes = Array.from({ length: n }, (_, i) => {
    if (i === 0) return secant(0);
    if (i === n - 1) return secant(n - 2);
    return secant(i - 1) * secant(i) <= 0 ? 0 : (secant(i - 1) + secant(i)) / 2;
  });
  for (let i = 0; i < n - 1; i++) {
    const d = secant(i);
    if (d === 0) {
      slopes[i] = 0;
      slopes[i + 1] = 0;
      continue;
    }
    const a = slopes[i]! / d;
    const b = slopes[i + 1]! / d;
    const radius = Math.hypot(a, b);
    if (radius > 3) {
      slopes[i] = (3 * a * d) / radius;
      slopes[i + 1] = (3 * b * d) / radius;
    }
  }
  return slopes;
}

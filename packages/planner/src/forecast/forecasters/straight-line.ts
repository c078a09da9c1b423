/** The step of a series that is a straight line within rounding; undefined for any other. */
export function straightSlope(series: readonly number[]): number | undefined {
  const slope = series[1]! - series[0]!;
  const tolerance = 1e-6 * Math.max(1e-9, ...series.map(Math.abs));
  return series.every((value, t) => t === 0 || Math.abs(value - series[t - 1]! - slope) <= tolerance)
    ? slope
    : undefined;
}

/** It goes on for so many steps. */
export function continued(series: readonly number[], slope: number, steps: number): number[] {
  return Array.from({ length: steps }, (_, h) => series[series.length - 1]! + slope * (h + 1));
}

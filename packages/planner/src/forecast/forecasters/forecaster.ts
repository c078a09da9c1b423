/** A look ahead: one value a step, with the interval that should hold the given share of outcomes. */
export interface Forecast {
  readonly mean: readonly number[];
  readonly lower: readonly number[];
  readonly upper: readonly number[];
}

export interface ForecastOptions {
  /** Steps ahead, at least 1. */
  readonly horizonSteps: number;
  /** Share of outcomes inside lower..upper, 0 to 1. Default 0.8. */
  readonly coverage?: number;
}

/** One way to look ahead over an evenly spaced series, oldest value first. Values are never negative: loads. */
export interface Forecaster {
  readonly name: string;
  /** With fewer values `forecast` is not asked. */
  readonly minimumPoints: number;
  /** Pure: the same series gives the same forecast. Blocks; run it off the main thread (`createForecastThread`). */
  forecast(series: readonly number[], options: ForecastOptions): Forecast;
}

/** Default share of outcomes inside the interval. */
export const defaultCoverage = 0.8;

/**
 * A forecast of normal errors around means, cut at zero.
 *
 * @param deviation standard deviation of step h, from 1
 */
export function withIntervals(
  mean: readonly number[],
  deviation: (step: number) => number,
  coverage: number,
): Forecast {
  const z = normalQuantile(0.5 + coverage / 2);
  return {
    mean: mean.map((value) => Math.max(0, value)),
    lower: mean.map((value, i) => Math.max(0, value - z * deviation(i + 1))),
    upper: mean.map((value, i) => Math.max(0, value + z * deviation(i + 1))),
  };
}

/** Inverse of the standard normal distribution function; Acklam's rational approximation, error below 1.2e-9. */
export function normalQuantile(p: number): number {
  const a = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
    2.506628277459239,
  ];
  const b = [
    -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572,
  ];
  const c = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
  const horner = (coefficients: readonly number[], x: number): number =>
    coefficients.reduce((sum, k) => sum * x + k, 0);
  const tail = (q: number): number => horner(c, q) / horner([...d, 1], q);
  if (p <= 0) return Number.NEGATIVE_INFINITY;
  if (p >= 1) return Number.POSITIVE_INFINITY;
  if (p < 0.02425) return tail(Math.sqrt(-2 * Math.log(p)));
  if (p > 1 - 0.02425) return -tail(Math.sqrt(-2 * Math.log(1 - p)));
  const q = p - 0.5;
  const r = q * q;
  return (horner(a, r) * q) / horner([...b, 1], r);
}

import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";
import { leastSquares } from "./least-squares.ts";

export interface HarmonicOptions {
  /** Steps in the period; the best fitting one when absent. */
  readonly periodSteps?: number;
  /** Sine pairs, of the period and its overtones. Default 2. */
  readonly harmonics?: number;
}

/**
 * A level, a trend and sine waves of one period, by least squares; the remaining level error decays as an AR(1) process.
 * For loads with a rhythm, from about two thirds of the first
 * period on; overtones wait for a second period and the trend for a third.
 */
export function harmonicForecaster(options: HarmonicOptions = {}): Forecaster {
  return {
    name: options.periodSteps === undefined ? "harmonic" : `harmonic(${options.periodSteps})`,
    minimumPoints: 8,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const n = series.length;
      const period = options.periodSteps ?? bestPeriod(series);
      const hasTrend = n >= 3 * period;
      // An overtone needs at least two points a wave, and fewer unknowns than half of the points.
      const pairs = Math.max(
        1,
        n < 2 * period
          ? 1
          : Math.min(options.harmonics ?? 2, Math.floor(period / 3), Math.floor((n - 2) / 4)),
      );
      const row = (t: number): number[] => {
        const values = hasTrend ? [1, t / n] : [1];
        for (let k = 1; k <= pairs; k++) {
          const angle = (2 * Math.PI * k * t) / period;
          values.push(Math.sin(angle), Math.cos(angle));
        }
        return values;
      };
      const weights = leastSquares(
        series.map((_, t) => row(t)),
        series,
      );
      const at = (t: number): number => row(t).reduce((sum, value, i) => sum + value * weights[i]!, 0);

      const residuals = series.map((value, t) => value - at(t));
      let numerator = 0;
      let denominator = 1e-9;
      for (let t = 1; t < n; t++) {
        numerator += residuals[t]! * residuals[t - 1]!;
        denominator += residuals[t - 1]! ** 2;
      }
      const memory = Math.min(0.99, Math.max(0, numerator / denominator));
      const freedom = Math.max(1, n - weights.length);
      const sigma = Math.sqrt(residuals.reduce((sum, e) => sum + e * e, 0) / freedom);
      const last = residuals[n - 1] ?? 0;
      const mean = Array.from({ length: horizonSteps }, (_, h) => at(n + h) + last * memory ** (h + 1));
      return withIntervals(mean, (h) => sigma * Math.sqrt(Math.max(0.05, 1 - memory ** (2 * h))), coverage);
    },
  };
}

/**
 * The period whose single wave leaves the smallest squared error: unlike a periodogram's peak it is right from about two
 * thirds of a period on. Periods from 3 steps to one and a half times the series, then refined.
 */
function bestPeriod(series: readonly number[]): number {
  const n = series.length;
  const average = series.reduce((sum, value) => sum + value, 0) / n;
  // What the wave explains, by the normal equations of [1, cos, sin]; angles by rotation instead of a sine a point.
  const error = (frequency: number): number => {
    const stepCos = Math.cos(2 * Math.PI * frequency);
    const stepSin = Math.sin(2 * Math.PI * frequency);
    let [c, s] = [1, 0];
    let [sc, ss, scc, scs, yc, ys] = [0, 0, 0, 0, 0, 0];
    for (let t = 0; t < n; t++) {
      const y = series[t]! - average;
      sc += c;
      ss += s;
      scc += c * c;
      scs += c * s;
      yc += y * c;
      ys += y * s;
      [c, s] = [c * stepCos - s * stepSin, s * stepCos + c * stepSin];
    }
    const cc = scc - (sc * sc) / n;
    const cs = scs - (sc * ss) / n;
    const sn = n - scc - (ss * ss) / n;
    const determinant = cc * sn - cs * cs;
    if (determinant < 1e-9 * n * n) return 0;
    return -(yc * yc * sn - 2 * yc * ys * cs + ys * ys * cc) / determinant;
  };
  const lowest = 1 / (1.5 * n);
  const step = 1 / (6 * n);
  let best = lowest;
  let least = Number.POSITIVE_INFINITY;
  const consider = (frequency: number): void => {
    const e = error(frequency);
    if (e < least) {
      least = e;
      best = frequency;
    }
  };
  for (let frequency = lowest; frequency <= 1 / 3; frequency += step) consider(frequency);
  const middle = best;
  for (let k = -4; k <= 4; k++) consider(Math.max(lowest, middle + (k * step) / 5));
  return 1 / best;
}

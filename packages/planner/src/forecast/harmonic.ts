import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";
import { leastSquares } from "./least-squares.ts";

export interface HarmonicOptions {
  /** Steps in the period; found by the periodogram when absent. */
  readonly periodSteps?: number;
  /** Sine pairs, of the period and its overtones. Default 2. */
  readonly harmonics?: number;
}

/**
 * A level, a trend and sine waves of one period, by least squares; the remaining level error decays as an AR(1) process.
 * For loads with a rhythm, from the first full period on.
 */
export function harmonicForecaster(options: HarmonicOptions = {}): Forecaster {
  return {
    name: options.periodSteps === undefined ? "harmonic" : `harmonic(${options.periodSteps})`,
    minimumPoints: 8,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const n = series.length;
      const period = options.periodSteps ?? strongestPeriod(series);
      const hasTrend = n >= 2 * period;
      // An overtone needs at least two points a wave, and fewer unknowns than half of the points.
      const pairs = Math.max(
        1,
        Math.min(options.harmonics ?? 2, Math.floor(period / 3), Math.floor((n - 2) / 4)),
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

/** Period of the largest peak of the periodogram after removing the mean, refined between Fourier frequencies. */
function strongestPeriod(series: readonly number[]): number {
  const n = series.length;
  const average = series.reduce((sum, value) => sum + value, 0) / n;
  const power = (cycles: number): number => {
    let re = 0;
    let im = 0;
    for (let t = 0; t < n; t++) {
      const angle = (2 * Math.PI * cycles * t) / n;
      re += (series[t]! - average) * Math.cos(angle);
      im += (series[t]! - average) * Math.sin(angle);
    }
    return re * re + im * im;
  };
  let best = 1;
  let most = -1;
  for (let cycles = 0.75; cycles <= n / 3; cycles += 0.25) {
    const p = power(cycles);
    if (p > most) {
      most = p;
      best = cycles;
    }
  }
  for (let cycles = best - 0.2; cycles <= best + 0.2; cycles += 0.02) {
    const p = power(cycles);
    if (p > most) {
      most = p;
      best = cycles;
    }
  }
  return n / best;
}

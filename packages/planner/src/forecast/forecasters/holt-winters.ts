import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";

export interface HoltWintersOptions {
  /** Steps in a season; without it there is a level and a damped trend only. */
  readonly seasonSteps?: number;
}

interface Smoothing {
  readonly level: number;
  readonly trend: number;
  readonly season: number;
}

interface Fit {
  readonly squaredError: number;
  readonly count: number;
  readonly level: number;
  readonly trend: number;
  readonly seasonal: readonly number[];
  readonly smoothing: Smoothing;
}

const damping = 0.9;
const grid = [0.1, 0.3, 0.5, 0.7, 0.9];

/**
 * Exponential smoothing with a damped additive trend and an optional additive season (Holt 1957, Winters 1960; damping
 * of Gardner and McKenzie 1985). Smoothing constants are chosen on a grid by one-step squared error.
 */
export function holtWintersForecaster(options: HoltWintersOptions = {}): Forecaster {
  const season = options.seasonSteps ?? 1;
  return {
    name: season > 1 ? `holt-winters(${season})` : "holt-winters",
    minimumPoints: Math.max(4, 2 * season),
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      let best: Fit | undefined;
      for (const level of grid) {
        for (const trend of [0.05, 0.2, 0.5]) {
          for (const seasonal of season > 1 ? [0.1, 0.4] : [0]) {
            const fit = smooth(series, season, { level, trend, season: seasonal });
            if (best === undefined || fit.squaredError < best.squaredError) best = fit;
          }
        }
      }
      const fit = best!;
      const sigma = Math.sqrt(fit.squaredError / Math.max(1, fit.count));
      let damped = 0;
      let factor = 1;
      const mean = Array.from({ length: horizonSteps }, (_, h) => {
        factor *= damping;
        damped += factor;
        return fit.level + damped * fit.trend + (fit.seasonal[(series.length + h) % season] ?? 0);
      });
      const { level: alpha, trend: beta } = fit.smoothing;
      // Variance of damped Holt (Hyndman, Koehler, Ord, Snyder 2008, table 6.2), summed step by step.
      let variance = 1;
      const deviations = mean.map((_, h) => {
        if (h > 0) {
          let reach = 0;
          for (let i = 1; i <= h; i++) reach += damping ** i;
          variance += (alpha * (1 + beta * reach)) ** 2;
        }
        return sigma * Math.sqrt(variance);
      });
      return withIntervals(mean, (h) => deviations[h - 1]!, coverage);
    },
  };
}

function smooth(series: readonly number[], season: number, smoothing: Smoothing): Fit {
  const start = series.slice(0, season);
  const average = start.reduce((sum, value) => sum + value, 0) / start.length;
  const seasonal = season > 1 ? start.map((value) => value - average) : [0];
  let level = season > 1 ? average : series[0]!;
  let trend = 0;
  let squaredError = 0;
  let count = 0;
  for (let t = season; t < series.length; t++) {
    const s = seasonal[t % season]!;
    const predicted = level + damping * trend + s;
    const error = series[t]! - predicted;
    squaredError += error * error;
    count += 1;
    const before = level;
    level = smoothing.level * (series[t]! - s) + (1 - smoothing.level) * (level + damping * trend);
    trend = smoothing.trend * (level - before) + (1 - smoothing.trend) * damping * trend;
    if (season > 1)
      seasonal[t % season] = smoothing.season * (series[t]! - level) + (1 - smoothing.season) * s;
  }
  return { squaredError, count, level, trend, seasonal, smoothing };
}

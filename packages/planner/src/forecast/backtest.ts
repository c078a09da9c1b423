import { defaultCoverage, type Forecaster } from "./forecasters/forecaster.ts";

export interface BacktestOptions {
  readonly horizonSteps: number;
  readonly coverage?: number;
  /** Origins at most, spread evenly over the second half of the series. Default 12. */
  readonly origins?: number;
  /** Values that a forecast may see, from its origin back. Default all. */
  readonly windowSteps?: number;
}

/** How a forecaster would have done. */
export interface BacktestScore {
  readonly name: string;
  /**
   * Mean absolute scaled error at the horizon: the error over that of repeating the last value (Hyndman and Koehler
   * 2006). Below 1 is better than `constant`.
   */
  readonly mase: number;
  /** Share of outcomes that fell into the interval; near the wanted coverage is honest. */
  readonly coverage: number;
  readonly origins: number;
}

/**
 * Rolling-origin evaluation: each forecast sees only what was there before its origin. The newest origin counts eight
 * times as much as the oldest, so that a forecaster which has just found the rhythm is trusted soon.
 */
export function backtest(
  forecaster: Forecaster,
  series: readonly number[],
  options: BacktestOptions,
): BacktestScore {
  const { horizonSteps, coverage = defaultCoverage, origins = 12, windowSteps = series.length } = options;
  const first = Math.max(forecaster.minimumPoints, Math.floor(series.length / 2));
  const last = series.length - horizonSteps;
  const count = Math.max(0, Math.min(origins, last - first + 1));
  let error = 0;
  let naive = 0;
  let inside = 0;
  for (let i = 0; i < count; i++) {
    const origin = count === 1 ? last : first + Math.round((i * (last - first)) / (count - 1));
    const seen = series.slice(Math.max(0, origin - windowSteps), origin);
    if (seen.length < forecaster.minimumPoints) continue;
    const forecast = forecaster.forecast(seen, { horizonSteps, coverage });
    const at = horizonSteps - 1;
    const truth = series[origin + at]!;
    const weight = 2 ** ((3 * (i + 1 - count)) / count);
    error += weight * Math.abs(forecast.mean[at]! - truth);
    naive += weight * Math.abs(seen[seen.length - 1]! - truth);
    if (truth >= forecast.lower[at]! - 1e-9 && truth <= forecast.upper[at]! + 1e-9) inside += 1;
  }
  return {
    name: forecaster.name,
    mase:
      count === 0
        ? Number.POSITIVE_INFINITY
        : naive === 0
          ? error === 0
            ? 1
            : Number.POSITIVE_INFINITY
          : error / naive,
    coverage: count === 0 ? 0 : inside / count,
    origins: count,
  };
}

/** The forecaster with the smallest backtest error; `fallback` when the series is too short to tell. */
export function chooseForecaster(
  candidates: readonly Forecaster[],
  fallback: Forecaster,
  series: readonly number[],
  options: BacktestOptions,
): {
  readonly forecaster: Forecaster;
  readonly scores: readonly BacktestScore[];
  /** False when `fallback` was taken for want of a past. */
  readonly isProven: boolean;
} {
  const scores: BacktestScore[] = [];
  let best = fallback;
  let bestMase = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (series.length < candidate.minimumPoints + options.horizonSteps + 2) continue;
    const score = backtest(candidate, series, options);
    scores.push(score);
    if (score.origins >= 3 && score.mase < bestMase) {
      bestMase = score.mase;
      best = candidate;
    }
  }
  return {
    forecaster: best,
    scores: scores.sort((a, b) => a.mase - b.mase),
    isProven: Number.isFinite(bestMase),
  };
}

import { deviationOf, deviationsToCover, oneDeviation, withDeviations } from "./calibration.ts";
import { defaultCoverage, normalQuantile, type Forecaster } from "./forecasters/forecaster.ts";

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
  /** Share of outcomes that fell into the interval that the forecaster gave; near the wanted coverage is honest. */
  readonly coverage: number;
  /** The same with intervals calibrated on the errors that were known at each origin (`deviationsToCover`). */
  readonly calibratedCoverage: number;
  readonly origins: number;
  /** Absolute errors of all steps over the standard deviations given with them, oldest origin first. */
  readonly errors: readonly number[];
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
  const known: { readonly at: number; readonly error: number }[] = [];
  const at = horizonSteps - 1;
  let error = 0;
  let naive = 0;
  let inside = 0;
  let calibrated = 0;
  for (let i = 0; i < count; i++) {
    const origin = count === 1 ? last : first + Math.round((i * (last - first)) / (count - 1));
    const seen = series.slice(Math.max(0, origin - windowSteps), origin);
    if (seen.length < forecaster.minimumPoints) continue;
    const forecast = forecaster.forecast(seen, { horizonSteps, coverage: oneDeviation });
    const truth = series[origin + at]!;
    const weight = 2 ** ((3 * (i + 1 - count)) / count);
    error += weight * Math.abs(forecast.mean[at]! - truth);
    naive += weight * Math.abs(seen[seen.length - 1]! - truth);
    const holds = (deviations: number): boolean => {
      const { lower, upper } = withDeviations(forecast, deviations);
      return truth >= lower[at]! - 1e-9 && truth <= upper[at]! + 1e-9;
    };
    if (holds(normalQuantile(0.5 + coverage / 2))) inside += 1;
    const errors = known.filter((past) => past.at < origin).map((past) => past.error);
    if (holds(deviationsToCover(errors, coverage))) calibrated += 1;
    for (let step = 0; step < horizonSteps; step++)
      known.push({
        at: origin + step,
        error: Math.abs(forecast.mean[step]! - series[origin + step]!) / deviationOf(forecast, step),
      });
  }
  return {
    name: forecaster.name,
    mase: count === 0 ? Number.POSITIVE_INFINITY : scaledError(error, naive, series),
    coverage: count === 0 ? 0 : inside / count,
    calibratedCoverage: count === 0 ? 0 : calibrated / count,
    origins: count,
    errors: known.map((past) => past.error),
  };
}

/** On a series that never changes both errors are nothing but rounding, and no forecaster is worse than another. */
function scaledError(error: number, naive: number, series: readonly number[]): number {
  const rounding = 1e-9 * Math.max(...series.map(Math.abs));
  if (naive > rounding) return error / naive;
  return error <= rounding * Math.max(1, series.length) ? 1 : Number.POSITIVE_INFINITY;
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

/** Rolling errors that a calibrated forecast rests on. */
const calibrationOrigins = 24;

/**
 * The same means with intervals that hold the wanted share of outcomes where the forecaster's own do not: its widths are
 * scaled by what they were worth on the last `origins` (default 24) forecasts, each of which is a fit. The planner itself
 * plans by uncalibrated upper ends: what it plans for is chosen by what came of it, and a load that jumps is better
 * served by the wide intervals that a model which does not fit it has.
 */
export function calibratedForecaster(
  forecaster: Forecaster,
  { origins = calibrationOrigins }: { readonly origins?: number } = {},
): Forecaster {
  return {
    name: `${forecaster.name} calibrated`,
    minimumPoints: forecaster.minimumPoints,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const { errors } = backtest(forecaster, series, { horizonSteps, origins });
      return withDeviations(
        forecaster.forecast(series, { horizonSteps, coverage: oneDeviation }),
        deviationsToCover(errors, coverage),
      );
    },
  };
}

import type { Interval, LoadForecast } from "../decision/types.ts";
import { chooseForecaster, type BacktestScore } from "./backtest.ts";
import { constantForecaster } from "./forecasters/constant.ts";
import type { Forecast, Forecaster } from "./forecasters/forecaster.ts";
import { kalmanForecaster } from "./forecasters/kalman.ts";
import { surgeLevel } from "./surge-level.ts";

export interface LoadForecastOptions {
  /** Intervals from now until a worker started now has been of use for one: start-up time plus interval, rounded up. */
  readonly horizonSteps: number;
  /**
   * Intervals until a worker ordered at the next chance would serve, at most `horizonSteps`: once the load is known well,
   * which is after five horizons, only these are planned for. Default `horizonSteps`.
   */
  readonly leadSteps?: number;
  readonly forecasters: readonly Forecaster[];
  /**
   * Share of outcomes inside the interval whose upper end is planned for, 0 to 1; 0 is the mean. Default 0.4: the
   * percentile of the SLO is margin for the load that was expected, not for one that was expected too low.
   */
  readonly coverage?: number;
  /** The same while the load is too short to know which forecaster fits it. Default 0.8. */
  readonly unprovenCoverage?: number;
  /** Intervals that forecasters may see. Default 240. */
  readonly windowSteps?: number;
}

/** Default of `LoadForecastOptions.coverage`. */
const defaultPlannedCoverage = 0.4;
/** Default of `LoadForecastOptions.unprovenCoverage`. */
const defaultUnprovenCoverage = 0.8;
/** A load is known well after this many horizons. */
const knownAfterHorizons = 5;

/** A load forecast, and how it was made. */
export interface LoadForecastReport {
  readonly forecast: LoadForecast;
  /** Chosen forecaster by measure: `requests`, `inputTokens`, `outputTokens`, `prefixHitRatio`. */
  readonly chosen: Readonly<Record<string, string>>;
  readonly scores: readonly BacktestScore[];
}

/**
 * The load to be ready for: the largest expected within the horizon. Rate, lengths and hit ratio are forecast each by
 * the forecaster that did best on their own past, so that a change of the mix is seen before it hurts. Pure.
 */
export function forecastLoad(
  intervals: readonly Interval[],
  options: LoadForecastOptions,
): LoadForecastReport {
  const seen = withoutLeadingZeros(intervals).slice(-(options.windowSteps ?? 240));
  if (seen.length === 0) {
    return {
      forecast: {
        requestsPerSecond: 0,
        requestsPerSecondUpper: 0,
        inputTokens: 0,
        outputTokens: 0,
        prefixHitRatio: 0,
      },
      chosen: {},
      scores: [],
    };
  }
  const seenMs = seen.reduce((sum, interval) => sum + interval.durationMs, 0);
  const meanRate = (seen.reduce((sum, interval) => sum + interval.requests, 0) / seenMs) * 1000;
  const rates = look(
    seen.map((interval) => (interval.requests / interval.durationMs) * 1000),
    options,
    // Counts vary by themselves: a trend of three requests is none.
    (meanRate * seen.length * 1000) / seenMs,
  );
  // Lengths and ratios of an interval without requests say nothing: the last known value stands there.
  const inputs = look(
    carried(seen, (interval) => interval.inputTokens),
    options,
  );
  const outputs = look(
    carried(seen, (interval) => interval.outputTokens),
    options,
  );
  const hits = look(
    seen.map((interval) => interval.prefixHitRatio),
    options,
  );
  const { horizonSteps } = options;
  const steps =
    seen.length > knownAfterHorizons * horizonSteps
      ? Math.min(horizonSteps, options.leadSteps ?? horizonSteps)
      : horizonSteps;
  const most = (values: readonly number[]): number => Math.max(...values.slice(0, steps));
  const level = rates.level;
  const ahead = level === undefined ? rates.forecast : { mean: [level], upper: [level] };
  return {
    forecast: {
      requestsPerSecond: most(ahead.mean),
      requestsPerSecondUpper: most(ahead.upper),
      requestsPerSecondLater: ahead.mean[ahead.mean.length - 1]!,
      inputTokens: most(inputs.forecast.mean),
      outputTokens: most(outputs.forecast.mean),
      prefixHitRatio: Math.min(1, ...hits.forecast.mean.slice(0, steps)),
    },
    chosen: {
      requests: rates.name,
      inputTokens: inputs.name,
      outputTokens: outputs.name,
      prefixHitRatio: hits.name,
    },
    scores: rates.scores,
  };
}

function look(
  series: readonly number[],
  options: LoadForecastOptions,
  leastVariance = 0,
): { forecast: Forecast; name: string; scores: readonly BacktestScore[]; level?: number | undefined } {
  const {
    horizonSteps,
    coverage = defaultPlannedCoverage,
    unprovenCoverage = defaultUnprovenCoverage,
  } = options;
  const first = series[0]!;
  if (series.every((value) => value === first)) {
    const same = new Array<number>(horizonSteps).fill(first);
    return { forecast: { mean: same, lower: same, upper: same }, name: "constant", scores: [] };
  }
  // Too short to tell which fits: a trend from two points on beats the last value on every load that moves.
  const fallback = series.length >= 2 ? kalmanForecaster({ leastVariance }) : constantForecaster();
  const { forecaster, scores, isProven } = chooseForecaster(options.forecasters, fallback, series, {
    horizonSteps,
  });
  const wanted = { horizonSteps, coverage: isProven ? coverage : Math.max(coverage, unprovenCoverage) };
  return {
    forecast: forecaster.forecast(series, wanted),
    name: forecaster.name,
    scores,
    level: leastVariance === 0 ? undefined : surgeLevel(series, forecaster, horizonSteps, leastVariance),
  };
}

function withoutLeadingZeros(intervals: readonly Interval[]): readonly Interval[] {
  const first = intervals.findIndex((interval) => interval.requests > 0);
  return first < 0 ? [] : intervals.slice(first);
}

function carried(intervals: readonly Interval[], value: (interval: Interval) => number): number[] {
  let last = 0;
  return intervals.map(
    (interval) => (last = interval.requests > 0 && value(interval) > 0 ? value(interval) : last),
  );
}

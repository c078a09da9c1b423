import type { Interval, LoadForecast } from "../decision/types.ts";
import { chooseForecaster, type BacktestScore } from "./backtest.ts";
import { constantForecaster } from "./constant.ts";
import type { Forecast, Forecaster } from "./forecaster.ts";
import { kalmanForecaster } from "./kalman.ts";

export interface LoadForecastOptions {
  /** Intervals from now until a worker started now has been of use for one: start-up time plus interval, rounded up. */
  readonly horizonSteps: number;
  readonly forecasters: readonly Forecaster[];
  /** Share of outcomes inside the interval whose upper end is planned for. Default 0.8. */
  readonly coverage?: number;
  /** Intervals that forecasters may see. Default 240. */
  readonly windowSteps?: number;
}

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
  return {
    forecast: {
      requestsPerSecond: Math.max(...rates.forecast.mean),
      requestsPerSecondUpper: Math.max(...rates.forecast.upper),
      inputTokens: Math.max(...inputs.forecast.mean),
      outputTokens: Math.max(...outputs.forecast.mean),
      prefixHitRatio: Math.min(1, Math.min(...hits.forecast.mean)),
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
): { forecast: Forecast; name: string; scores: readonly BacktestScore[] } {
  const { horizonSteps, coverage } = options;
  const bounds = { horizonSteps, ...(coverage === undefined ? {} : { coverage }) };
  // Too short to tell which fits: a trend from two points on beats the last value on every load that moves.
  const fallback = series.length >= 2 ? kalmanForecaster({ leastVariance }) : constantForecaster();
  const { forecaster, scores } = chooseForecaster(options.forecasters, fallback, series, bounds);
  return { forecast: forecaster.forecast(series, bounds), name: forecaster.name, scores };
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

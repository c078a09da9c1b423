import { defaultCoverage, withIntervals, type Forecaster } from "./forecaster.ts";

/** The last value goes on; errors grow as a random walk's, by the root of the step. The yardstick for all others. */
export function constantForecaster(): Forecaster {
  return {
    name: "constant",
    minimumPoints: 1,
    forecast(series, { horizonSteps, coverage = defaultCoverage }) {
      const last = series[series.length - 1] ?? 0;
      const steps = series.slice(1).map((value, i) => value - series[i]!);
      const deviation = Math.sqrt(
        steps.reduce((sum, step) => sum + step * step, 0) / Math.max(1, steps.length),
      );
      return withIntervals(
        new Array<number>(horizonSteps).fill(last),
        (h) => deviation * Math.sqrt(h),
        coverage,
      );
    },
  };
}

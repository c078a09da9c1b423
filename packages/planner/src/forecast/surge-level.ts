import { oneDeviation } from "./calibration.ts";
import type { Forecaster } from "./forecasters/forecaster.ts";

/** A sample that far above its forecast, in standard deviations, is no chance. */
const surpriseDeviations = 3.5;
/** A surge whose newest sample is that far above its first, in standard deviations of counting, goes on rising. */
const risingDeviations = 1;

/**
 * The level that a load has jumped to within the last horizon, when it has: the mean since the newest sample that lies
 * beyond both the forecast made before it and the counting noise. A trend fitted through a jump would be steep and
 * wrong, and the forecasters need several samples to follow; this level is known with the first.
 *
 * @param countingVariance of one sample, at the mean of the series
 */
export function surgeLevel(
  series: readonly number[],
  forecaster: Forecaster,
  horizonSteps: number,
  countingVariance: number,
): number | undefined {
  const mean = series.reduce((sum, value) => sum + value, 0) / series.length;
  const oldest = Math.max(forecaster.minimumPoints, series.length - horizonSteps);
  for (let at = series.length - 1; at >= oldest; at--) {
    const { mean: expected, upper } = forecaster.forecast(series.slice(0, at), {
      horizonSteps: 1,
      coverage: oneDeviation,
    });
    const counting = Math.sqrt((countingVariance * Math.max(expected[0]!, mean / 10)) / mean);
    const deviation = Math.max(upper[0]! - expected[0]!, counting);
    if (series[at]! <= expected[0]! + surpriseDeviations * deviation) continue;
    const since = series.slice(at);
    // One that goes on rising is a climb that was seen late, and its trend is what counts.
    const noise = Math.sqrt((countingVariance * Math.max(since[0]!, mean / 10)) / mean);
    if (since[since.length - 1]! > since[0]! + risingDeviations * noise) return undefined;
    return since.reduce((sum, value) => sum + value, 0) / since.length;
  }
  return undefined;
}

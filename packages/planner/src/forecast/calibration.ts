import { normalQuantile, type Forecast } from "./forecasters/forecaster.ts";

/** Share of normal outcomes within one standard deviation of the mean: what forecasts that are calibrated are asked for. */
export const oneDeviation = 0.682689;
/** With fewer errors known the forecaster's own widths are all there is. */
const leastErrors = 8;

/**
 * The half-width, in the forecaster's own standard deviations, that held the given share of its past errors: split
 * conformal prediction on rolling residuals (Vovk, Gammerman, Shafer 2005; Lei et al. 2018, locally weighted). Models that
 * do not fit are sure of themselves: this is what they were worth so far.
 *
 * @param errors past absolute errors over the standard deviations given with them, in any order
 * @param coverage share of outcomes to hold, 0 to 1
 */
export function deviationsToCover(errors: readonly number[], coverage: number): number {
  const assumed = normalQuantile(0.5 + coverage / 2);
  if (errors.length < leastErrors || coverage <= 0 || coverage >= 1) return assumed;
  const sorted = [...errors].sort((a, b) => a - b);
  const rank = Math.ceil((sorted.length + 1) * coverage);
  // So large a share takes more errors than are known: at least the worst of them, and what the model says.
  return rank > sorted.length ? Math.max(assumed, sorted[sorted.length - 1]!) : sorted[rank - 1]!;
}

/** Standard deviation of step `at` of a forecast that was asked for `oneDeviation`; never quite nothing. */
export function deviationOf({ mean, upper }: Forecast, at: number): number {
  return Math.max(upper[at]! - mean[at]!, 1e-6 * Math.abs(mean[at]!), 1e-9);
}

/** The same means with intervals of so many standard deviations; `forecast` was asked for `oneDeviation`. */
export function withDeviations(forecast: Forecast, deviations: number): Forecast {
  const { mean } = forecast;
  const width = (at: number): number => deviations * deviationOf(forecast, at);
  return {
    mean,
    lower: mean.map((value, at) => Math.max(0, value - width(at))),
    upper: mean.map((value, at) => value + width(at)),
  };
}

import type { LoadForecast } from "./types.ts";

/** Arrivals that far above those planned for, in standard deviations of counting, are no chance. */
const surpriseDeviations = 3.5;

/**
 * The load to plan for when more has come since the last look than chance allows under the load planned for; undefined
 * when not. A jump is known seconds after it instead of a sample later, and workers for it are ordered by so much sooner.
 * Counts alone are compared, with Poisson's variance, so that a load that follows its forecast is never asked about.
 *
 * @param arrived requests within `ms`
 * @param planned the forecast that the last decision rests on
 */
export function checkArrivals(arrived: number, ms: number, planned: LoadForecast): LoadForecast | undefined {
  const expected = Math.max(1, (planned.requestsPerSecondUpper * ms) / 1000);
  if (!(ms > 0) || arrived <= expected + surpriseDeviations * Math.sqrt(expected)) return undefined;
  const level = (arrived / ms) * 1000;
  return {
    ...planned,
    requestsPerSecond: level,
    requestsPerSecondUpper: level,
    requestsPerSecondLater: level,
  };
}

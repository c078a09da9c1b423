import type { Logger } from "@stator/core";
import { gpusPerWorkerOf } from "../decision/budget.ts";
import { defaultLoadThresholds, planByLoad, type LoadThresholds } from "../decision/load-based.ts";
import { plan } from "../decision/plan.ts";
import { raise } from "../decision/raise.ts";
import { react } from "../decision/react.ts";
import type { Interval, Limits, LoadForecast, Observations, Plan, Slo, Workers } from "../decision/types.ts";
import { constantForecaster } from "../forecast/constant.ts";
import { forecastLoad } from "../forecast/forecast-load.ts";
import type { ForecastThread } from "../forecast/forecast-thread.ts";
import type { Horizon } from "../forecast/horizon.ts";
import { harmonicForecaster } from "../forecast/harmonic.ts";
import { holtWintersForecaster } from "../forecast/holt-winters.ts";
import { kalmanForecaster } from "../forecast/kalman.ts";
import { PlannerError } from "../planner-error.ts";
import type { Profile } from "../profile/profile.ts";

/** What the loop asks of a way to decide. */
export interface Decider {
  readonly gpusPerWorker: Workers;
  lookAhead(samples: readonly Interval[]): LoadForecast | Promise<LoadForecast>;
  /** The slow decision, which may take workers away. */
  slow(observations: Observations, forecast: LoadForecast, slo: Slo, limits: Limits): Plan;
  /** What is wanted in between, of which only additions are carried out. */
  fast(slow: Plan, observed: Interval, floor: Workers, slo: Slo, limits: Limits): Workers;
}

export interface ProfileDeciderOptions {
  readonly profile: Profile;
  readonly horizon: Horizon;
  readonly startupMs: number;
  readonly forecasts: ForecastThread | undefined;
  readonly logger: Logger;
}

/** By forecast and profile: the real planner. */
export function profileDecider({
  profile,
  horizon,
  startupMs,
  forecasts,
  logger,
}: ProfileDeciderOptions): Decider {
  const simple = [constantForecaster(), holtWintersForecaster(), kalmanForecaster(), harmonicForecaster()];
  return {
    gpusPerWorker: gpusPerWorkerOf(profile),
    async lookAhead(samples) {
      if (forecasts !== undefined) {
        try {
          return (await forecasts.forecast(samples)).forecast;
        } catch (error) {
          if (!PlannerError.isInstance(error)) throw error;
          logger.warn("forecasting failed; the simple forecasters take over", { error: error.message });
        }
      }
      return forecastLoad(samples, { ...horizon, forecasters: simple }).forecast;
    },
    slow: (observations, forecast, slo, limits) => plan(observations, forecast, profile, slo, limits),
    fast(slow, observed, floor, slo, limits) {
      const raised = react(observed, floor, profile, slo, limits, startupMs);
      return {
        prefill: Math.max(slow.prefill, raised.prefill),
        decode: Math.max(slow.decode, raised.decode),
      };
    },
  };
}

/** By prefill queue and decode memory alone, for those without a profile. */
export function loadDecider(thresholds: LoadThresholds): Decider {
  return {
    gpusPerWorker: thresholds.gpusPerWorker ?? defaultLoadThresholds.gpusPerWorker,
    lookAhead(samples) {
      const last = samples[samples.length - 1];
      const requestsPerSecond = last === undefined ? 0 : (last.requests / last.durationMs) * 1000;
      return {
        requestsPerSecond,
        requestsPerSecondUpper: requestsPerSecond,
        inputTokens: last?.inputTokens ?? 0,
        outputTokens: last?.outputTokens ?? 0,
        prefixHitRatio: last?.prefixHitRatio ?? 0,
      };
    },
    slow: (observations, _forecast, _slo, limits) => planByLoad(observations, limits, thresholds),
    fast: (slow) => slow,
  };
}

/** What a decision between two slow ones does: it only ever adds. */
export function onlyMore(decider: Decider, before: Workers, wish: Workers, limits: Limits): Workers {
  return raise(before, wish, decider.gpusPerWorker, limits);
}

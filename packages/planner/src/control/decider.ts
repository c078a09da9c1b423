import type { Logger } from "@stator/core";
import { gpusPerWorkerOf } from "../decision/budget.ts";
import { correctPlan } from "../decision/correct-plan.ts";
import { defaultLoadThresholds, planByLoad, type LoadThresholds } from "../decision/load-based.ts";
import { plan } from "../decision/plan.ts";
import { raise } from "../decision/raise.ts";
import type { Interval, Limits, LoadForecast, Observations, Plan, Slo, Workers } from "../decision/types.ts";
import { constantForecaster } from "../forecast/forecasters/constant.ts";
import { forecastLoad } from "../forecast/forecast-load.ts";
import type { ForecastThread } from "../forecast/thread/forecast-thread.ts";
import type { Horizon } from "../forecast/horizon.ts";
import { harmonicForecaster } from "../forecast/forecasters/harmonic.ts";
import { holtWintersForecaster } from "../forecast/forecasters/holt-winters.ts";
import { kalmanForecaster } from "../forecast/forecasters/kalman.ts";
import { PlannerError } from "../planner-error.ts";
import type { Profile } from "../profile/profile.ts";

/** What the loop asks of a way to decide. */
export interface Decider {
  readonly gpusPerWorker: Workers;
  lookAhead(samples: readonly Interval[]): LoadForecast | Promise<LoadForecast>;
  /** The slow decision, which may take workers away. */
  slow(observations: Observations, forecast: LoadForecast, slo: Slo, limits: Limits): Plan;
  /** What more to order for a load that has jumped between two samples; without it only samples count. */
  surge?(
    observations: Observations,
    level: LoadForecast,
    moment: Omit<FastMoment, "planned" | "forecast">,
  ): Plan;
  /** What to do in between, from the plan for the newest forecast. */
  fast(moment: FastMoment): Workers;
}

/** What a decision between two slow ones rests on. */
export interface FastMoment {
  readonly before: Workers;
  /** What the last slow decision wanted. */
  readonly floor: Workers;
  readonly planned: Plan;
  readonly forecast: LoadForecast;
  readonly observed: Interval;
  readonly slo: Slo;
  readonly limits: Limits;
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
    fast: (moment) => correctPlan({ ...moment, profile, startupMs }),
    surge(observations, forecast, moment) {
      const planned = plan(observations, forecast, profile, moment.slo, moment.limits);
      return { ...planned, ...correctPlan({ ...moment, planned, forecast, profile, startupMs }) };
    },
  };
}

/** By prefill queue and decode memory alone, for those without a profile. */
export function loadDecider(thresholds: LoadThresholds): Decider {
  const gpusPerWorker = thresholds.gpusPerWorker ?? defaultLoadThresholds.gpusPerWorker;
  return {
    gpusPerWorker,
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
    fast: ({ before, planned, limits }) => raise(before, planned, gpusPerWorker, limits),
  };
}

import {
  checkArrivals,
  constantForecaster,
  correctPlan,
  forecastLoad,
  harmonicForecaster,
  holtWintersForecaster,
  horizonOf,
  kalmanForecaster,
  plan,
  type Forecaster,
  type Interval,
  type Limits,
  type LoadForecast,
  type Observations,
  type Plan,
  type Profile,
  type Slo,
  type Workers,
} from "@stator/planner";
import type { ScalingStrategy } from "../scaling/scaling-strategy.ts";

export interface StrategyOptions {
  readonly profile: Profile;
  readonly slo: Slo;
  readonly limits: Limits;
  readonly startupMs: number;
  readonly intervalMs: number;
}

/** One number for ever. */
export function fixed(): ScalingStrategy {
  return { decide: ({ target }) => target };
}

/** The same capacity model as ours without a look ahead: the load of the last interval is the load to be ready for. */
export function reactive(options: StrategyOptions): ScalingStrategy {
  return {
    decide: (observations) =>
      plan(
        observations,
        forecastLoad(observations.intervals, {
          horizonSteps: 1,
          forecasters: [constantForecaster()],
          unprovenCoverage: 0,
        }).forecast,
        options.profile,
        options.slo,
        options.limits,
      ),
  };
}

export interface OursOptions extends StrategyOptions {
  /** Default constant, Holt-Winters, Kalman and harmonic. */
  readonly forecasters?: readonly Forecaster[];
  /** Hears each decision, with what it rests on. */
  readonly onPlan?: (decision: {
    readonly atMs: number;
    readonly forecast: LoadForecast;
    readonly plan: Plan;
  }) => void;
}

/** Stator's planner: forecast over start-up time and interval, `plan` slowly, `react` fast on top of it. */
export function ours(options: OursOptions): ScalingStrategy {
  const {
    profile,
    slo,
    limits,
    startupMs,
    intervalMs,
    forecasters = [constantForecaster(), holtWintersForecaster(), kalmanForecaster(), harmonicForecaster()],
  } = options;
  let floor: Workers | undefined;
  let last: LoadForecast | undefined;
  const decided = (
    observations: Observations,
    samples: readonly Interval[],
    atMs: number,
  ): { forecast: LoadForecast; plan: Plan } => {
    const sampleMs = samples[samples.length - 1]!.durationMs;
    const { forecast } = forecastLoad(samples, {
      ...horizonOf({ startupMs, intervalMs, sampleMs }),
      forecasters,
    });
    const result = plan(observations, forecast, profile, slo, limits);
    last = forecast;
    options.onPlan?.({ atMs, forecast, plan: result });
    return { forecast, plan: result };
  };
  return {
    check(observations, samples, requests, ms) {
      const { target: before } = observations;
      const forecast = last === undefined ? undefined : checkArrivals(requests, ms, last);
      if (forecast === undefined) return before;
      const planned = plan(observations, forecast, profile, slo, limits);
      const observed = samples[samples.length - 1]!;
      return correctPlan({
        before,
        floor: before,
        planned,
        forecast,
        observed,
        profile,
        slo,
        limits,
        startupMs,
      });
    },
    decide(observations, samples, atMs) {
      const { prefill, decode } = decided(observations, samples, atMs).plan;
      return (floor = { prefill, decode });
    },
    correct(observations, samples, atMs) {
      const { target: before } = observations;
      const { forecast, plan: planned } = decided(observations, samples, atMs);
      return correctPlan({
        before,
        floor: floor ?? before,
        planned,
        forecast,
        observed: samples[samples.length - 1]!,
        profile,
        slo,
        limits,
        startupMs,
      });
    },
  };
}

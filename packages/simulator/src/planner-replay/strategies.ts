import {
  constantForecaster,
  forecastLoad,
  harmonicForecaster,
  holtWintersForecaster,
  kalmanForecaster,
  plan,
  react,
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
import type { ScalingStrategy } from "./run-scaling.ts";

const defaultReplayCoverage = 0;

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
          coverage: 0,
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
  /** Of the forecast interval whose upper end is planned for. Default 0, the mean: the SLO's percentile is margin enough. */
  readonly coverage?: number;
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
    coverage = defaultReplayCoverage,
  } = options;
  let floor: Workers | undefined;
  const decided = (observations: Observations, samples: readonly Interval[], atMs: number): Plan => {
    const sampleMs = samples[samples.length - 1]!.durationMs;
    const horizonSteps = Math.ceil((startupMs + intervalMs) / sampleMs - 1e-6);
    const { forecast } = forecastLoad(samples, { horizonSteps, forecasters, coverage });
    const result = plan(observations, forecast, profile, slo, limits);
    options.onPlan?.({ atMs, forecast, plan: result });
    return result;
  };
  return {
    decide(observations, samples, atMs) {
      const { prefill, decode } = decided(observations, samples, atMs);
      return (floor = { prefill, decode });
    },
    correct(observations, samples, atMs) {
      const { target } = observations;
      const soon = decided(observations, samples, atMs);
      const raised = react(samples[samples.length - 1]!, floor ?? target, profile, slo, limits);
      return fit(
        {
          prefill: Math.max(target.prefill, soon.prefill, raised.prefill),
          decode: Math.max(target.decode, soon.decode, raised.decode),
        },
        target,
      );
    },
  };

  function fit(wish: Workers, target: Workers): Workers {
    const cost = (workers: Workers): number =>
      workers.prefill * profile.prefill.gpusPerWorker + workers.decode * profile.decode.gpusPerWorker;
    return cost(wish) <= limits.gpus ? wish : target;
  }
}

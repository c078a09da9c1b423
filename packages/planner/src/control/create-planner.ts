import {
  noopMeter,
  silentLogger,
  sleep,
  systemClock,
  type Clock,
  type Logger,
  type Meter,
} from "@stator/core";
import { checkArrivals } from "../decision/check-arrivals.ts";
import type { LoadThresholds } from "../decision/load-based.ts";
import type { Interval, Limits, LoadForecast, Observations, Plan, Slo, Workers } from "../decision/types.ts";
import type { ForecastThread } from "../forecast/thread/forecast-thread.ts";
import { horizonOf } from "../forecast/horizon.ts";
import { combineIntervals } from "../observation/combine.ts";
import type { ObservationSource } from "../observation/metrics-source.ts";
import { PlannerError } from "../planner-error.ts";
import type { Profile } from "../profile/profile.ts";
import type { Scaler } from "../scalers/scaler.ts";
import { checkTargets } from "./check-targets.ts";
import { loadDecider, profileDecider } from "./decider.ts";
import { createPlannerMetrics } from "./planner-metrics.ts";

export interface PlannerOptions {
  readonly observe: ObservationSource;
  readonly scaler: Scaler;
  /** What one worker can do. Without it decisions follow the prefill queue and decode memory (`thresholds`). */
  readonly profile?: Profile;
  /** Of the mode without a profile. */
  readonly thresholds?: LoadThresholds;
  readonly slo: Slo;
  readonly limits: Limits;
  /** Between slow decisions, which may also scale down. Default 30,000 ms. */
  readonly intervalMs?: number;
  /** Between observations, after each of which it may scale up. Default half the interval, at most 15,000 ms. */
  readonly sampleMs?: number;
  /**
   * Between looks at arrivals alone, where `observe` can tell them: a load that jumps between two samples gets its workers
   * now. Default 5,000 ms; from `sampleMs` on there are none.
   */
  readonly checkMs?: number;
  /** From the order of a worker until it serves. Default 60,000 ms. */
  readonly startupMs?: number;
  /** Forecasts here instead of on this thread; with `arima` among the forecasters a must. */
  readonly forecasts?: ForecastThread;
  readonly clock?: Clock;
  readonly meter?: Meter;
  readonly logger?: Logger;
  readonly onDecision?: (decision: PlannerDecision) => void;
}

/** One entry of the decision log. */
export interface PlannerDecision {
  readonly id: number;
  readonly atMs: number;
  readonly loop: "slow" | "fast";
  readonly observed: Interval;
  readonly forecast: LoadForecast;
  readonly before: Workers;
  readonly target: Workers;
  readonly plan: Plan;
}

/** Changes that take effect with the next decision. */
export interface PlannerTargets {
  readonly slo?: Slo;
  readonly limits?: Partial<Limits>;
}

/** A running planner. */
export interface Planner extends AsyncDisposable {
  /** The newest decisions, oldest first, at most 1,000. */
  readonly decisions: readonly PlannerDecision[];
  readonly slo: Slo;
  readonly limits: Limits;
  /** @throws PlannerError `PLANNER_OPTION_INVALID`; then everything stays as it was. */
  setTargets(targets: PlannerTargets): void;
  /** Hears every decision from now on. Returns how to stop. */
  subscribe(listener: (decision: PlannerDecision) => void): () => void;
  /** Observes and decides once, now; the loop does so by itself. */
  step(): Promise<PlannerDecision>;
  /** Ends the loop; workers stay as they are. */
  close(): Promise<void>;
}

const keptDecisions = 1000;
const keptSamples = 2880;

/**
 * The control loop: observes every `sampleMs`, looks at arrivals every `checkMs`, plans every `intervalMs` for the load within start-up time and interval,
 * and in between adds workers, and takes some away only on a load that falls. Without a profile each interval decides by queue and memory alone. A round that fails is logged and counted, and the next one goes on.
 *
 * @throws PlannerError `PLANNER_OPTION_INVALID` for times, objectives or limits that cannot be kept.
 */
export function createPlanner(options: PlannerOptions): Planner {
  const { observe, scaler, clock = systemClock, logger = silentLogger } = options;
  const { intervalMs = 30_000, startupMs = 60_000, checkMs = 5000 } = options;
  const sampleMs = options.sampleMs ?? Math.min(15_000, intervalMs / 2);
  if (!(intervalMs > 0 && sampleMs > 0 && checkMs > 0 && startupMs >= 0 && sampleMs <= intervalMs))
    throw new PlannerError({
      code: "PLANNER_OPTION_INVALID",
      kind: "invalid",
      message: `intervalMs (${intervalMs}), sampleMs (${sampleMs}), checkMs (${checkMs}) and startupMs (${startupMs}) must be positive, and a sample no longer than an interval.`,
    });
  const perInterval = Math.round(intervalMs / sampleMs);
  const horizon = horizonOf({ startupMs, intervalMs, sampleMs });
  const decider =
    options.profile === undefined
      ? loadDecider(options.thresholds ?? {})
      : profileDecider({
          profile: options.profile,
          horizon,
          startupMs,
          forecasts: options.forecasts,
          logger,
        });
  const metrics = createPlannerMetrics(options.meter ?? noopMeter);
  const samples: Interval[] = [];
  const intervals: Interval[] = [];
  const decisions: PlannerDecision[] = [];
  const stop = new AbortController();
  const listeners = new Set<(decision: PlannerDecision) => void>();
  if (options.onDecision !== undefined) listeners.add(options.onDecision);
  let { slo, limits } = options;
  checkTargets(slo, limits, decider.gpusPerWorker);
  let changedMs: Workers = { prefill: Number.NEGATIVE_INFINITY, decode: Number.NEGATIVE_INFINITY };
  let floor: Workers | undefined;
  let rounds = 0;
  let ids = 0;
  let planned: LoadForecast | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const round = async (): Promise<PlannerDecision> => {
    const observed = await observe.read(stop.signal);
    samples.push(observed);
    if (samples.length > keptSamples) samples.shift();
    rounds += 1;
    const isSlow = rounds % perInterval === 0 || floor === undefined;
    if (rounds % perInterval === 0) {
      intervals.push(combineIntervals(samples.slice(-perInterval)));
      if (intervals.length > keptSamples) intervals.shift();
    }
    const now = await situation();
    const { target: before } = now.observations;
    const forecast = await decider.lookAhead(samples);
    const wanted = decider.slow(now.observations, forecast, slo, limits);
    planned = forecast;
    let target: Workers = { prefill: wanted.prefill, decode: wanted.decode };
    if (isSlow) floor = target;
    else
      target = decider.fast({
        before,
        floor: floor ?? before,
        planned: wanted,
        forecast,
        observed,
        slo,
        limits,
      });
    return carryOut(now, { loop: isSlow ? "slow" : "fast", observed, forecast, target, plan: wanted });
  };

  /** Between samples: more workers, now, when far more arrives than was planned for. */
  const check = async (): Promise<void> => {
    const observed = samples[samples.length - 1];
    const arrived = await observe.arrived?.(stop.signal);
    if (arrived === undefined || observed === undefined || planned === undefined || intervals.length === 0)
      return;
    const forecast = checkArrivals(arrived.requests, arrived.ms, planned);
    if (forecast === undefined || decider.surge === undefined) return;
    const now = await situation();
    const { target: before } = now.observations;
    const plan = decider.surge(now.observations, forecast, { before, floor: before, observed, slo, limits });
    const target: Workers = { prefill: plan.prefill, decode: plan.decode };
    if (target.prefill === before.prefill && target.decode === before.decode) return;
    const message = `${arrived.requests} requests came in ${(arrived.ms / 1000).toFixed(1)} s, ${((planned.requestsPerSecondUpper * arrived.ms) / 1000).toFixed(1)} were planned for`;
    const role = target.prefill > before.prefill ? "prefill" : "decode";
    await carryOut(now, {
      loop: "fast",
      observed: { ...observed, requests: arrived.requests, durationMs: arrived.ms },
      forecast,
      target,
      plan: { ...plan, reasons: [{ role, code: "surge", message }, ...plan.reasons] },
    });
  };

  interface Situation {
    readonly nowMs: number;
    readonly observations: Observations;
  }

  const situation = async (): Promise<Situation> => {
    const { target, ready, stuck } = await scaler.state(stop.signal);
    const nowMs = clock.now();
    return {
      nowMs,
      observations: {
        intervals,
        target,
        ready,
        ...(stuck === undefined ? {} : { stuck }),
        sinceChangeMs: { prefill: nowMs - changedMs.prefill, decode: nowMs - changedMs.decode },
      },
    };
  };

  const carryOut = async (
    { nowMs, observations: { target: before, ready } }: Situation,
    decided: Omit<PlannerDecision, "id" | "atMs" | "before">,
  ): Promise<PlannerDecision> => {
    const { target } = decided;
    const decision: PlannerDecision = { id: ++ids, atMs: nowMs, before, ...decided };
    if (target.prefill !== before.prefill || target.decode !== before.decode) {
      await scaler.scale(target, stop.signal);
      changedMs = {
        prefill: target.prefill === before.prefill ? changedMs.prefill : nowMs,
        decode: target.decode === before.decode ? changedMs.decode : nowMs,
      };
      logger.info("scaled", {
        before,
        target,
        loop: decision.loop,
        reasons: decision.plan.reasons.map(({ role, code, message }) => `${role} ${code}: ${message}`),
      });
    }
    decisions.push(decision);
    if (decisions.length > keptDecisions) decisions.shift();
    metrics.decided(decision, ready);
    for (const listener of listeners) listener(decision);
    return decision;
  };

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };
  const step = (): Promise<PlannerDecision> => inTurn(round);
  const failed = (error: unknown): void => {
    if (stop.signal.aborted) return;
    metrics.failed();
    logger.warn("a planning round failed", { error: String(error) });
  };

  const loop = async (): Promise<void> => {
    await observe.read(stop.signal).catch(() => undefined);
    while (!stop.signal.aborted) {
      let restMs = sampleMs;
      for (; observe.arrived !== undefined && restMs > checkMs; restMs -= checkMs) {
        await sleep(clock, checkMs, stop.signal);
        await inTurn(check).catch(failed);
      }
      await sleep(clock, restMs, stop.signal);
      await step().catch(failed);
    }
  };
  const running = loop().catch(() => undefined);

  const planner: Planner = {
    decisions,
    get slo() {
      return slo;
    },
    get limits() {
      return limits;
    },
    setTargets(targets) {
      const wished = { slo: targets.slo ?? slo, limits: { ...limits, ...targets.limits } };
      checkTargets(wished.slo, wished.limits, decider.gpusPerWorker);
      ({ slo, limits } = wished);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    step,
    async close() {
      stop.abort(new Error("the planner was closed"));
      await running;
      await turn;
    },
    [Symbol.asyncDispose]: () => planner.close(),
  };
  return planner;
}

import type { Workers } from "@stator/planner";
import { createObservationWindow } from "../../scaling/observation-window.ts";
import { createScalingLoop, type ScalableCluster, type ScalingTick } from "../../scaling/scaling-loop.ts";
import type { EventQueue } from "./event-queue.ts";
import type { SimulatedPool } from "./simulated-pool.ts";
import type { ScalingReport, SimulatedOutcome, SimulatedScaling } from "../simulation.ts";

export interface ScaledPoolsOptions {
  readonly events: EventQueue;
  readonly scaling: SimulatedScaling;
  /** Pool of role `both`, or of role `decode`. */
  readonly serving: SimulatedPool;
  readonly prefill: SimulatedPool | undefined;
  readonly startupMs: number;
  /** A worker serves from now on. */
  readonly start: (pool: SimulatedPool) => void;
  /** Whether anything is still to be decided on: the loop ends with it. */
  readonly isBusy: () => boolean;
}

/** Pools whose numbers of workers a strategy changes while the run goes on. */
export interface ScaledPools {
  arrived(inputTokens: number): void;
  gotFirstToken(outcome: SimulatedOutcome): void;
  finished(outcome: SimulatedOutcome): void;
  report(): ScalingReport;
}

interface Starting {
  readonly pool: SimulatedPool;
  readonly fromMs: number;
  isCancelled: boolean;
}

export function createScaledPools(options: ScaledPoolsOptions): ScaledPools {
  const { events, scaling, serving, prefill, startupMs } = options;
  const windows = [scaling.percentile ?? 90, scaling.percentile ?? 90].map(createObservationWindow);
  const [slow, fast] = windows as [(typeof windows)[0], (typeof windows)[0]];
  const poolOf = { prefill, decode: serving };
  const moments: ScalingTick[] = [];
  let starting: Starting[] = [];
  let target = ready();
  let scaleUps = 0;
  let scaleDowns = 0;
  let startingGpuMs = 0;
  let seenMs = 0;
  let arrivals = 0;

  function ready(): Workers {
    return { prefill: prefill?.takingWorkers.length ?? 0, decode: serving.takingWorkers.length };
  }

  /** To be called before numbers change. */
  function elapse(): void {
    const now = ready();
    for (const window of windows) window.elapsed(now, events.now() - seenMs);
    seenMs = events.now();
  }

  function pressure(): { queuedPrefillTokens: number; kvUsage: number } {
    return { queuedPrefillTokens: (prefill ?? serving).queuedTokens(), kvUsage: serving.fullestKvRatio() };
  }

  function order(pool: SimulatedPool): void {
    const one: Starting = { pool, fromMs: events.now(), isCancelled: false };
    starting.push(one);
    events.at(events.now() + startupMs, () => {
      if (one.isCancelled) return;
      elapse();
      giveUp(one);
      options.start(pool);
    });
  }

  function giveUp(one: Starting): void {
    one.isCancelled = true;
    starting = starting.filter((other) => other !== one);
    startingGpuMs += (events.now() - one.fromMs) * (one.pool.model.gpus ?? 1);
  }

  const cluster: ScalableCluster = {
    get nowMs() {
      return events.now();
    },
    get target() {
      return target;
    },
    get ready() {
      return ready();
    },
    get arrivals() {
      return arrivals;
    },
    scaleTo(wanted) {
      elapse();
      for (const role of ["prefill", "decode"] as const) {
        const pool = poolOf[role];
        if (pool === undefined) continue;
        const ordered = starting.filter((one) => one.pool === pool);
        const taking = [...pool.takingWorkers];
        let change = wanted[role] - taking.length - ordered.length;
        if (change > 0) scaleUps += 1;
        if (change < 0) scaleDowns += 1;
        for (; change > 0; change--) order(pool);
        // What has not started yet is the cheapest to give up; then the newest.
        for (; change < 0 && ordered.length > 0; change++) giveUp(ordered.pop()!);
        for (; change < 0 && taking.length > 0; change++) pool.drain(taking.pop()!);
      }
      target = wanted;
    },
    observe() {
      elapse();
      return slow.report(events.now(), pressure());
    },
    sample() {
      elapse();
      return fast.report(events.now(), pressure());
    },
  };
  const loop = createScalingLoop(cluster, scaling);

  function tick(): void {
    const moment = loop.tick();
    if (moment !== undefined) moments.push(moment);
    if (options.isBusy()) events.at(events.now() + loop.tickMs, tick);
    else for (const one of starting) giveUp(one);
  }
  events.at(loop.tickMs, tick);

  return {
    arrived(inputTokens) {
      arrivals += 1;
      for (const window of windows) window.arrived(inputTokens);
    },
    gotFirstToken({ atMs, inputTokens, cachedTokens }) {
      for (const window of windows) window.prefilled(events.now() - atMs, inputTokens, cachedTokens);
    },
    finished({ firstTokenMs, endMs, outputTokens }) {
      if (firstTokenMs === undefined || endMs === undefined) return;
      const itlMs = (endMs - firstTokenMs) / Math.max(1, outputTokens - 1);
      for (const window of windows) window.finished(outputTokens, itlMs);
    },
    report: () => ({ scaleUps, scaleDowns, startingGpuHours: startingGpuMs / 3_600_000, moments }),
  };
}

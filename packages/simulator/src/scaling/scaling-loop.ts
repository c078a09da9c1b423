import type { Interval, Observations, Workers } from "@stator/planner";
import type { ScalingStrategy } from "./scaling-strategy.ts";

/** Workers in virtual time whose number can be changed. */
export interface ScalableCluster {
  readonly nowMs: number;
  readonly target: Workers;
  readonly ready: Workers;
  /** Requests so far. */
  readonly arrivals: number;
  /** Starts workers, or lets the newest drain and end. */
  scaleTo(target: Workers): void;
  /** What happened since the last call: what frontends and workers report. */
  observe(): Interval;
  /** The same since the last sample. */
  sample(): Interval;
}

/** The state at the end of one interval. */
export interface ScalingTick {
  readonly atMs: number;
  readonly interval: Interval;
  readonly target: Workers;
  readonly ready: Workers;
}

/** Longest time between two looks at arrivals, as in `createPlanner`. */
const longestCheckMs = 5000;

/**
 * The planner's loop in virtual time: a decision every interval, a correction after each sample in between, and a look at
 * arrivals in between samples.
 */
export interface ScalingLoop {
  readonly tickMs: number;
  /** To be called every `tickMs`; says what was decided when an interval ended. */
  tick(): ScalingTick | undefined;
}

/** @param options `sampleMs`: a whole part of the interval; default the largest up to 15,000 */
export function createScalingLoop(
  cluster: ScalableCluster,
  options: {
    readonly strategy: ScalingStrategy;
    readonly intervalMs: number;
    readonly sampleMs?: number | undefined;
  },
): ScalingLoop {
  const { strategy, intervalMs } = options;
  const perInterval = Math.ceil(intervalMs / (options.sampleMs ?? 15_000));
  const intervals: Interval[] = [];
  const samples: Interval[] = [];
  let changedMs: Workers = { prefill: -1e9, decode: -1e9 };
  const sampleMs = intervalMs / perInterval;
  const perSample = strategy.check === undefined ? 1 : Math.ceil(sampleMs / longestCheckMs);
  const tickMs = sampleMs / perSample;
  let ticks = 0;
  let seen = 0;

  function scale(wanted: Workers): void {
    const before = cluster.target;
    if (wanted.prefill === before.prefill && wanted.decode === before.decode) return;
    changedMs = {
      prefill: wanted.prefill === before.prefill ? changedMs.prefill : cluster.nowMs,
      decode: wanted.decode === before.decode ? changedMs.decode : cluster.nowMs,
    };
    cluster.scaleTo(wanted);
  }

  return {
    tickMs,
    tick() {
      ticks += 1;
      const arrived = cluster.arrivals - seen;
      seen = cluster.arrivals;
      const isSample = ticks % perSample === 0;
      if (isSample) samples.push(cluster.sample());
      else if (intervals.length === 0) return undefined;
      const isSlow = ticks % (perSample * perInterval) === 0;
      if (isSlow) intervals.push(cluster.observe());
      const { target, ready, nowMs } = cluster;
      const observations: Observations = {
        intervals,
        target,
        ready,
        sinceChangeMs: { prefill: nowMs - changedMs.prefill, decode: nowMs - changedMs.decode },
      };
      if (!isSample) {
        scale(strategy.check!(observations, samples, arrived, tickMs));
        return undefined;
      }
      if (!isSlow) {
        if (strategy.correct !== undefined) scale(strategy.correct(observations, samples, nowMs));
        return undefined;
      }
      scale(strategy.decide(observations, samples, nowMs));
      return { atMs: nowMs, interval: intervals[intervals.length - 1]!, target: cluster.target, ready };
    },
  };
}

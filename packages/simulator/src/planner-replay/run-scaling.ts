import type { Interval, Observations, Slo, Workers } from "@stator/planner";
import type { TraceRequest } from "../workload/trace-request.ts";
import { TRACE_BLOCK_TOKENS } from "../workload/trace-request.ts";
import type { FluidRequest } from "./fluid-worker.ts";
import { createScaledCluster, percentileOf } from "./scaled-cluster.ts";
import type { ServingTimes } from "./serving-times.ts";

/** What decides on numbers of workers in a replay. Stateful; one for each run. */
export interface ScalingStrategy {
  /**
   * Asked at the end of every interval.
   *
   * @param samples the same time in finer steps, oldest first
   */
  decide(observations: Observations, samples: readonly Interval[], nowMs: number): Workers;
  /** Asked after every sample in between; the last sample says what waits now. */
  correct?(observations: Observations, samples: readonly Interval[], nowMs: number): Workers;
}

export interface ScalingOptions {
  readonly workload: readonly TraceRequest[];
  /** From the first arrival until the load ends. Default: the last arrival. */
  readonly durationMs?: number;
  readonly times: ServingTimes;
  readonly graph: "disaggregated" | "aggregated";
  readonly slo: Slo;
  readonly initial: Workers;
  readonly startupMs: number;
  readonly intervalMs: number;
  /** Between samples, a whole part of the interval. Default: the largest up to 15,000. */
  readonly sampleMs?: number;
  readonly strategy: ScalingStrategy;
}

/** The state at the end of one interval. */
export interface ScalingMoment {
  readonly atMs: number;
  readonly interval: Interval;
  readonly target: Workers;
  readonly ready: Workers;
  /** Share of the interval's arrivals that kept the SLO. */
  readonly attainment: number;
}

export interface ScalingRun {
  readonly sloAttainment: number;
  readonly gpuHours: number;
  /** Requests that kept the SLO, per GPU-hour. */
  readonly goodputPerGpuHour: number;
  readonly scaleUps: number;
  readonly scaleDowns: number;
  readonly meanTtftMs: number;
  readonly p90TtftMs: number;
  readonly meanItlMs: number;
  readonly p90ItlMs: number;
  readonly timeline: readonly ScalingMoment[];
}

/** Runs a load through a cluster that a strategy scales. */
export function runScaling(options: ScalingOptions): ScalingRun {
  const { strategy, intervalMs, slo } = options;
  const perInterval = Math.ceil(intervalMs / (options.sampleMs ?? 15_000));
  const sampleMs = intervalMs / perInterval;
  const requests = options.workload.map(toFluid);
  const durationMs = options.durationMs ?? (requests[requests.length - 1]?.atMs ?? 0) + 1;
  const cluster = createScaledCluster({ ...options, percentile: slo.percentile ?? 90 });
  const intervals: Interval[] = [];
  const samples: Interval[] = [];
  const moments: Omit<ScalingMoment, "attainment">[] = [];
  let changedMs: Workers = { prefill: -1e9, decode: -1e9 };
  let arrived = 0;

  const scale = (wanted: Workers): void => {
    const before = cluster.target;
    if (wanted.prefill === before.prefill && wanted.decode === before.decode) return;
    changedMs = {
      prefill: wanted.prefill === before.prefill ? changedMs.prefill : cluster.nowMs,
      decode: wanted.decode === before.decode ? changedMs.decode : cluster.nowMs,
    };
    cluster.scaleTo(wanted);
  };
  const live = (untilMs: number): void => {
    for (; arrived < requests.length && requests[arrived]!.atMs < untilMs; arrived++) {
      cluster.advance(requests[arrived]!.atMs);
      cluster.arrive(requests[arrived]!);
    }
    cluster.advance(untilMs);
  };

  for (let tick = 1; tick * sampleMs <= durationMs + 1e-6; tick++) {
    live(tick * sampleMs);
    samples.push(cluster.sample());
    const isSlow = tick % perInterval === 0;
    if (isSlow) intervals.push(cluster.observe());
    const { target, ready, nowMs } = cluster;
    const observations: Observations = {
      intervals,
      target,
      ready,
      sinceChangeMs: { prefill: nowMs - changedMs.prefill, decode: nowMs - changedMs.decode },
    };
    if (isSlow) {
      scale(strategy.decide(observations, samples, nowMs));
      moments.push({
        atMs: nowMs,
        interval: intervals[intervals.length - 1]!,
        target: cluster.target,
        ready,
      });
    } else if (strategy.correct !== undefined) scale(strategy.correct(observations, samples, nowMs));
  }
  live(durationMs);
  for (let more = 0; cluster.unfinished > 0 && more < 100_000; more++) cluster.advance(cluster.nowMs + 1000);

  const keeps = (request: FluidRequest): boolean =>
    request.finishedMs > 0 && request.ttftMs <= slo.ttftMs && request.itlMs <= slo.itlMs;
  const kept = requests.filter(keeps).length;
  const gpuHours = cluster.gpuMs / 3_600_000;
  const ttfts = requests.map((request) => request.ttftMs);
  const itls = requests.filter((request) => request.outputTokens > 1).map((request) => request.itlMs);
  return {
    sloAttainment: requests.length === 0 ? 1 : kept / requests.length,
    gpuHours,
    goodputPerGpuHour: gpuHours === 0 ? 0 : kept / gpuHours,
    scaleUps: cluster.scaleUps,
    scaleDowns: cluster.scaleDowns,
    meanTtftMs: mean(ttfts),
    p90TtftMs: percentileOf(ttfts, 90) ?? 0,
    meanItlMs: mean(itls),
    p90ItlMs: percentileOf(itls, 90) ?? 0,
    timeline: moments.map((moment) => {
      const from = moment.atMs - moment.interval.durationMs;
      const own = requests.filter((request) => request.atMs >= from && request.atMs < moment.atMs);
      return { ...moment, attainment: own.length === 0 ? 1 : own.filter(keeps).length / own.length };
    }),
  };
}

function toFluid(request: TraceRequest): FluidRequest {
  const blocks = Math.floor(request.inputTokens / TRACE_BLOCK_TOKENS);
  return {
    atMs: request.atMs,
    inputTokens: request.inputTokens,
    outputTokens: Math.max(1, request.outputTokens),
    names: BigUint64Array.from(request.blockIds.slice(0, blocks), (id) => BigInt(id)),
    cachedTokens: 0,
    ttftMs: 0,
    itlMs: 0,
    finishedMs: 0,
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

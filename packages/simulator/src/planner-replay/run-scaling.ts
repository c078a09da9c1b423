import type { Slo, Workers } from "@stator/planner";
import { percentileOf } from "../scaling/observation-window.ts";
import { createScalingLoop, type ScalingTick } from "../scaling/scaling-loop.ts";
import type { ScalingStrategy } from "../scaling/scaling-strategy.ts";
import type { TraceRequest } from "../workload/trace-request.ts";
import { TRACE_BLOCK_TOKENS } from "../workload/trace-request.ts";
import type { FluidRequest } from "./fluid-worker.ts";
import { createScaledCluster } from "./scaled-cluster.ts";
import type { ServingTimes } from "./serving-times.ts";

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
export interface ScalingMoment extends ScalingTick {
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
  const { slo } = options;
  const requests = options.workload.map(toFluid);
  const durationMs = options.durationMs ?? (requests[requests.length - 1]?.atMs ?? 0) + 1;
  const cluster = createScaledCluster({ ...options, percentile: slo.percentile ?? 90 });
  const loop = createScalingLoop(cluster, options);
  const moments: ScalingTick[] = [];
  let arrived = 0;

  const live = (untilMs: number): void => {
    for (; arrived < requests.length && requests[arrived]!.atMs < untilMs; arrived++) {
      cluster.advance(requests[arrived]!.atMs);
      cluster.arrive(requests[arrived]!);
    }
    cluster.advance(untilMs);
  };

  for (let tick = 1; tick * loop.tickMs <= durationMs + 1e-6; tick++) {
    live(tick * loop.tickMs);
    const moment = loop.tick();
    if (moment !== undefined) moments.push(moment);
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

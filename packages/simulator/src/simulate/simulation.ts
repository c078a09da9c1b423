import type { Layout, LayoutPool } from "@stator/core";
import type { TraceRequest } from "../workload/trace-request.ts";
import type { ScalingTick } from "../scaling/scaling-loop.ts";
import type { ScalingStrategy } from "../scaling/scaling-strategy.ts";
import type { Distribution } from "./report/histogram.ts";
import type { Timeline } from "./report/timeline.ts";
import type { WorkerModel } from "./engine/worker-model.ts";

/** Something that happens to workers at a given time. */
export type WorkerChange =
  /** New workers of a pool; they serve `startupMs` later. */
  | { readonly atMs: number; readonly type: "start"; readonly pool: string; readonly count?: number }
  /** The process is gone at once, with all its KV. Its requests go on elsewhere, from the tokens they have. */
  | { readonly atMs: number; readonly type: "fail"; readonly worker: string }
  /** Takes nothing new, ends what it has, leaves. */
  | { readonly atMs: number; readonly type: "drain"; readonly worker: string };

/** A planner in virtual time. */
export interface SimulatedScaling {
  readonly strategy: ScalingStrategy;
  /** Between decisions. */
  readonly intervalMs: number;
  /** Between corrections, a whole part of the interval. Default: the largest up to 15,000. */
  readonly sampleMs?: number;
  /** At which TTFT and ITL are told to the strategy. Default 90. */
  readonly percentile?: number;
}

/** What a planner did. */
export interface ScalingReport {
  readonly scaleUps: number;
  readonly scaleDowns: number;
  /** Part of `gpuHours` that workers took to start. */
  readonly startingGpuHours: number;
  /** The end of each interval, oldest first. */
  readonly moments: readonly ScalingTick[];
}

export interface SimulationOptions {
  readonly layout: Layout;
  /** Which of the layout's models. Default: its first. */
  readonly servedModel?: string;
  /** Sorted by arrival. */
  readonly workload: readonly TraceRequest[];
  /** How workers of a pool compute: `modelledWorker(…)`, or your own. Default: what the layout's simulated engines say. */
  readonly worker?: WorkerModel | ((pool: LayoutPool, name: string) => WorkerModel);
  /** Seeds the routers. Default 1. */
  readonly seed?: number;
  /** Tokens of a KV block; divides 512. Default 64. */
  readonly blockTokens?: number;
  /** Closed loop: this many in flight, each ended request brings the next; arrival times are ignored. */
  readonly concurrency?: number;
  /** Divides the gaps between arrivals. Default 1. */
  readonly speedup?: number;
  /** From an event at a worker to the router's knowledge of it. Default 5. */
  readonly eventDelayMs?: number;
  /** Fixed part of each KV transfer. Default 1. */
  readonly transferLatencyMs?: number;
  /** From a worker's end to its requests' way elsewhere. Default 50. */
  readonly failureDetectionMs?: number;
  /** From a worker's start to its first request. Default 60,000. */
  readonly startupMs?: number;
  /** Changes the numbers of workers as the run goes on: `plannedScaling(…)`, or a strategy of your own. */
  readonly scaling?: SimulatedScaling;
  /** Names of workers are `pool-0`, `pool-1` … in the order of their start. */
  readonly changes?: readonly WorkerChange[];
  /** Goodput counts requests within these. Default: the layout's. */
  readonly slo?: { readonly ttftMs?: number | undefined; readonly itlMs?: number | undefined };
  /** Called now and then with the share of requests that have ended; returning false ends the run. */
  readonly onProgress?: (ratio: number) => boolean | void;
}

/** What became of one request. Times from the start of the run. */
export interface SimulatedOutcome {
  readonly atMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Where its prompt was computed, and where its output. */
  prefillWorker: string;
  worker: string;
  /** Of the prompt, as the first worker found it. */
  cachedTokens: number;
  /** When the client had its first token; undefined if never. */
  firstTokenMs: number | undefined;
  endMs: number | undefined;
  /** How often it had to go elsewhere because a worker failed. */
  migrations: number;
  /** Too long for any worker's KV. */
  isRejected: boolean;
}

export interface WorkerReport {
  readonly worker: string;
  readonly pool: string;
  readonly gpus: number;
  readonly startedMs: number;
  readonly endedMs: number | undefined;
  readonly end: "drained" | "failed" | undefined;
  readonly requests: number;
  readonly computedTokens: number;
  readonly preemptions: number;
  /** Share of its life in which it computed. */
  readonly busyRatio: number;
  readonly timeline: Timeline;
}

export interface Simulation {
  readonly requests: number;
  readonly completed: number;
  /** Refused because they can never fit. */
  readonly rejected: number;
  /** Left without a worker, or cut off by `onProgress`. */
  readonly unfinished: number;
  readonly migrations: number;
  readonly preemptions: number;
  /** Virtual time from the first arrival to the last token. */
  readonly durationMs: number;
  /** From arrival to the first token at the client; with a prefill pool that is after the KV came to decode. */
  readonly ttftMs: Distribution;
  /** Mean time between the tokens of a request, one sample a request. */
  readonly tpotMs: Distribution;
  /** Engine steps as tokens see them, one sample a token. */
  readonly itlMs: Distribution;
  readonly requestMs: Distribution;
  /** KV transfers from prefill to decode, waiting for memory and bandwidth included. */
  readonly transferMs: Distribution;
  readonly transferredBytes: number;
  readonly requestsPerSecond: number;
  readonly inputTokensPerSecond: number;
  readonly outputTokensPerSecond: number;
  readonly outputTokensPerSecondPerGpu: number;
  /** Requests per second within the SLO; undefined without one. */
  readonly goodputPerSecond: number | undefined;
  /** Share of prompt tokens found in a cache. */
  readonly hitRatio: number;
  /** Of workers while they serve or drain, and of those that a planner starts, from their order on. */
  readonly gpuHours: number;
  /** With a planner only. */
  readonly scaling?: ScalingReport;
  readonly workers: readonly WorkerReport[];
  readonly outcomes: readonly SimulatedOutcome[];
}

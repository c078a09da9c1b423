import type { Parallelism } from "@stator/simulator/performance-model";
import { gpusOf, parallelismLabel } from "@stator/simulator/performance-model";

/** Equal workers of a layout. */
export interface WorkerGroup {
  readonly role: "prefill" | "decode" | "both";
  readonly count: number;
  readonly parallelism: Parallelism;
  /** `TP4`, `DP8·EP8` … */
  readonly label: string;
  readonly gpus: number;
  /** Sequences at once per attention rank; for prefill workers always 1. */
  readonly batch: number;
}

/** A layout and what it is predicted to do. Times are means per request. */
export interface Candidate {
  readonly mode: "agg" | "disagg";
  readonly workers: readonly WorkerGroup[];
  readonly gpusUsed: number;
  readonly requestsPerSecond: number;
  /** Output tokens per second over the whole GPU budget, idle GPUs included. */
  readonly tokensPerSecondPerGpu: number;
  /** Output tokens per second that one user sees. */
  readonly tokensPerSecondPerUser: number;
  readonly ttftMs: number;
  readonly tpotMs: number;
  readonly requestMs: number;
  /** Requests in flight at this operating point. */
  readonly concurrency: number;
  /** Moving one prompt's KV; 0 when aggregated. */
  readonly transferMs: number;
  readonly isSaturated: boolean;
}

export function workerGroup(
  role: WorkerGroup["role"],
  count: number,
  parallelism: Parallelism,
  batch: number,
): WorkerGroup {
  return { role, count, parallelism, label: parallelismLabel(parallelism), gpus: gpusOf(parallelism), batch };
}

/** Limits of a service level; an undefined one is not asked for. */
export interface Limits {
  readonly ttftMs?: number | undefined;
  readonly tpotMs?: number | undefined;
  readonly requestMs?: number | undefined;
}

export function meets(
  candidate: { readonly ttftMs: number; readonly tpotMs: number; readonly requestMs: number },
  limits: Limits,
): boolean {
  return (
    candidate.ttftMs <= (limits.ttftMs ?? Infinity) &&
    candidate.tpotMs <= (limits.tpotMs ?? Infinity) &&
    candidate.requestMs <= (limits.requestMs ?? Infinity)
  );
}

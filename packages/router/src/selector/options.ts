import type { Clock, Logger, Meter } from "@stator/core";
import { routerError } from "../errors/router-error.ts";
import type { PrefixIndexOptions } from "../index/prefix-index.ts";
import type { LinearEstimate } from "../load/linear-fit.ts";
import type { Filter, Policy } from "./selector.ts";

/** How costs are weighed. All of it has sensible defaults; prefill and decode times are measured, not configured. */
export interface CostOptions {
  /**
   * What a prompt's own computation costs those behind it, as a share of its time, added to its own time. Raises reuse
   * over balance. Default 0.5; range 0 to 4.
   */
  readonly prefillExternality?: number;
  /** Fixed part of a KV transfer, in milliseconds. Default 2. */
  readonly transferFixedMs?: number;
  /** Per token moved, in milliseconds. Default 0.01: 128 KiB a token at 12.5 GB/s. */
  readonly transferMsPerToken?: number;
  /** Per token read back from host memory, in milliseconds. Default 0.005: 128 KiB at 25 GB/s. */
  readonly hostMsPerToken?: number;
  /** Per token read back from disk, in milliseconds. Default 0.04: 128 KiB at 3 GB/s. */
  readonly diskMsPerToken?: number;
  /** Per token read from shared storage, in milliseconds. Default 0.01. */
  readonly sharedMsPerToken?: number;
}

export interface SelectorOptions {
  /** Default `kvAware()`. */
  readonly policy?: Policy;
  /** Vetoes beyond the built-in ones (draining, avoid, pin, labels, adapter). */
  readonly filters?: readonly Filter[];
  readonly cost?: CostOptions;
  readonly index?: PrefixIndexOptions;
  /** Where nothing was measured yet: fixed milliseconds and milliseconds per token. Default 10 and 0.05. */
  readonly prefillPrior?: Omit<LinearEstimate, "deviation">;
  /** How long a decision stands in for the events of a worker that sends events, in milliseconds. Default 30000; 0 is off. */
  readonly speculativeTtlMs?: number;
  /** How long a decision is believed where a worker sends none, in milliseconds. Default 120000, Dynamo's; 0 is off. */
  readonly approximateTtlMs?: number;
  /** Default: the machine's monotonic clock. */
  readonly clock?: NowClock;
  /** Seeds random choices; equal seeds and inputs give equal decisions. Default 1. */
  readonly seed?: number;
  readonly logger?: Logger;
  /** Predictions against what came true, and the index against its workers. Default: not measured. */
  readonly meter?: Meter;
}

/** The part of a clock that a selector reads. */
export interface NowClock {
  readonly now: Clock["now"];
}

export type ResolvedCost = Required<CostOptions>;

/** Defaults of `CostOptions`. */
export const defaultCost: ResolvedCost = {
  prefillExternality: 0.5,
  transferFixedMs: 2,
  transferMsPerToken: 0.01,
  hostMsPerToken: 0.005,
  diskMsPerToken: 0.04,
  sharedMsPerToken: 0.01,
};

export const DEFAULT_SPECULATIVE_TTL_MS: number = 30_000;
export const DEFAULT_APPROXIMATE_TTL_MS: number = 120_000;

/** @throws RouterError `ROUTER_OPTION_INVALID` */
export function resolveCost(cost: CostOptions = {}): ResolvedCost {
  const resolved: ResolvedCost = { ...defaultCost, ...cost };
  for (const [option, value] of Object.entries(resolved) as [string, number][]) {
    if (!(value >= 0))
      throw routerError("ROUTER_OPTION_INVALID", `cost.${option} is ${value}; it must be 0 or more.`, {
        option,
      });
  }
  return resolved;
}

/** @throws RouterError `ROUTER_OPTION_INVALID` */
export function durationMs(option: string, value: number): number {
  if (value >= 0) return value;
  throw routerError("ROUTER_OPTION_INVALID", `${option} is ${value}; it must be 0 milliseconds or more.`, {
    option,
  });
}

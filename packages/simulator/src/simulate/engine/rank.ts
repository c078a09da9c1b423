import type { EventQueue } from "../cluster/event-queue.ts";
import type { Histogram } from "../report/histogram.ts";
import type { Span } from "../report/timeline.ts";
import type { NumberedBlocks } from "./block-numbers.ts";
import type { KvMemory } from "./kv-memory.ts";
import type { StepMs } from "./step-ms.ts";

/** One request at one rank. */
export interface Job {
  /** Full prompt blocks. */
  readonly blocks: NumberedBlocks;
  /** Prompt, and output of earlier lives that must be computed again. */
  promptTokens: number;
  /** Output tokens until the end, those of earlier lives included. */
  readonly outputTokens: number;
  /** Output tokens so far. */
  produced: number;
  /** `prefill` keeps its KV until `release`; `decode` gets its KV from `reserved` on. */
  mode: "full" | "prefill" | "decode";
  /** Memory for it is set aside; `missingTokens` of KV are wanted. Call `ready` when they are there. */
  readonly reserved?: (missingTokens: number, ready: () => void) => void;
  readonly prefilled: (cachedTokens: number) => void;
  readonly progress: (outputTokens: number) => void;
  readonly finished: () => void;
}

export interface BatchingRankOptions {
  readonly events: EventQueue;
  readonly memory: KvMemory;
  readonly stepMs: StepMs;
  readonly blockTokens: number;
  /** Requests that run at once. */
  readonly sequences: number;
  /** Tokens that one step computes at most. */
  readonly stepTokens: number;
  /** Reading one block back from host memory. */
  readonly hostBlockMs: number;
  readonly onSpan: (fromMs: number, toMs: number, span: Span) => void;
  /** Gaps between tokens, each token one sample. */
  readonly gaps: Histogram;
}

/** An engine rank in virtual time: continuous batching, chunked prefill beside decode, preemption of the newest. */
export interface BatchingRank {
  readonly running: number;
  readonly waiting: number;
  readonly isEmpty: boolean;
  /** Prompt tokens that wait or are not computed yet. */
  readonly queuedTokens: number;
  /** Share of KV blocks in use. */
  readonly kvRatio: number;
  readonly computedTokens: number;
  readonly preemptions: number;
  add(job: Job): void;
  /** The KV of a prefilled job is no longer needed. */
  release(job: Job): void;
  /** Takes out a job that waits, or waits for KV, or keeps KV for someone. */
  cancel(job: Job): void;
  /** Stops for good; the jobs that were here. */
  fail(): readonly Job[];
}

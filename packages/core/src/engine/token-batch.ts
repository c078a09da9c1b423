import type { Handoff } from "./handoff.ts";
import type { TokenIds } from "./request.ts";

/** Log probability of one output token and of its best alternatives, natural logarithm, best first. */
export interface TokenLogprob {
  readonly logprob: number;
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

/** Why a choice ended: an end or stop id (`stop`), the budget or the context (`length`), or the engine's abort. */
export type FinishReason = "stop" | "length" | "abort";

export interface Finish {
  readonly reason: FinishReason;
  /** The id that ended it, when `stop`. It is the last id of the output. */
  readonly stopId?: number;
}

/** Output tokens of one choice, in order. A stream is complete only with a batch that carries `finish`. */
export interface TokenBatch {
  /** Absolute output index of `ids[0]`. */
  readonly firstIndex: number;
  readonly ids: TokenIds;
  /** One per id, when asked for. */
  readonly logprobs?: readonly TokenLogprob[];
  /** Mode `prefill`: the KV, as soon as it is valid. */
  readonly handoff?: Handoff;
  /** Prompt tokens that were not computed, on the first batch. */
  readonly cachedTokens?: number;
  readonly finish?: Finish;
}

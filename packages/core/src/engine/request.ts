import type { Handoff } from "./handoff.ts";

/** Token ids, in either form; both index and iterate alike. */
export type TokenIds = readonly number[] | Uint32Array;

/** How the next token is chosen. All of it is part of the resume contract: unchanged over every attempt. */
export interface Sampling {
  /** 0 is greedy. Range 0 to 2. */
  readonly temperature: number;
  /** Nucleus mass, (0, 1]. */
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** 0 is off. */
  readonly minP: number;
  /** Unsigned 64-bit; fixed at admission so that every attempt agrees. */
  readonly seed: bigint;
  /** -2 to 2; counts output only. */
  readonly presencePenalty: number;
  /** -2 to 2; counts output only. */
  readonly frequencyPenalty: number;
  /** 1 is off; the engine's own prompt-plus-output scope. */
  readonly repetitionPenalty: number;
  /** Added to the logit of the given ids, -100 to 100. */
  readonly logitBias?: ReadonlyMap<number, number>;
}

/** Greedy, no penalties, seed 0. */
export const greedy: Sampling = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 0n,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
};

export interface Limits {
  /** Output tokens in all, counting `outputIds`. */
  readonly maxTokens: number;
  /** No end-of-generation id before this many output tokens. Default 0. */
  readonly minTokens?: number;
  /** Ids that end the generation besides the card's `eos`; the id itself is yielded. */
  readonly stopIds?: readonly number[];
  /** Goes on over the card's `eos` ids. Default false. */
  readonly ignoreEos?: boolean;
}

/** A request for structured output, carried as the engines name it. */
export interface Grammar {
  readonly kind: "jsonSchema" | "regex" | "ebnf";
  readonly source: string;
}

/** An image, audio or video part; `hash` stands in block names. */
export interface Media {
  readonly kind: "image" | "audio" | "video";
  readonly url: string;
  readonly hash: bigint;
  /** Where in the prompt its placeholder tokens are. */
  readonly offsetTokens: number;
  readonly lengthTokens: number;
}

/** What the caller knows that may help placement; never changes the text. */
export interface Hints {
  readonly expectedOutputTokens?: number;
  /** Requests of one conversation; session affinity keeps them together. */
  readonly sessionId?: string;
  /** Only workers whose labels have all of these. */
  readonly requireLabels?: Readonly<Record<string, string>>;
  /** Only this worker (and rank). */
  readonly pin?: { readonly worker: string; readonly rank?: number };
  /** Only workers with these weights (the card's `weightsDigest`); set when a stream is resumed. */
  readonly weightsDigest?: string;
}

/** One worker process in one life. */
export interface WorkerEpoch {
  readonly worker: string;
  readonly epoch: string;
}

/** One choice of one request, as everything below the frontend sees it. Immutable; an attempt is a copy. */
export interface GenerateRequest {
  /** Unique per client request; the same over attempts and choices. */
  readonly id: string;
  readonly model: string;
  /** 0 for the first; tokens of another attempt than the current one are dropped. */
  readonly attempt: number;
  /** Index of this choice; part of the sampler key. */
  readonly choice: number;
  readonly promptIds: Uint32Array;
  /** Output so far, when resumed; the engine goes on at index `outputIds.length`. */
  readonly outputIds: Uint32Array;
  readonly sampling: Sampling;
  readonly limits: Limits;
  /** `prefill`: compute the prompt's KV, yield a batch with a handoff, and end. */
  readonly mode: "full" | "prefill";
  /** Where the prompt's KV comes from (decode side), or is to go (rendezvous and addressed, both sides). */
  readonly handoff?: Handoff;
  /** Log probabilities: how many alternatives per output token, 0 for the chosen one only. Absent: none. */
  readonly topLogprobs?: number;
  /** Lives that must not serve this request again. */
  readonly avoid: readonly WorkerEpoch[];
  readonly adapter?: string;
  /** Separates tenants' KV; derived on the server side, never taken from a client. */
  readonly tenantSalt?: string;
  /** Higher first; default 0. */
  readonly priority?: number;
  readonly grammar?: Grammar;
  readonly media?: readonly Media[];
  readonly hints?: Hints;
  /** W3C trace context of the span under which this runs. */
  readonly traceparent?: string;
}

/** The fields of a request that have no sensible default. */
export type RequestInit = Pick<GenerateRequest, "id" | "model" | "promptIds"> & Partial<GenerateRequest>;

/** A full request out of its essential parts: greedy, first attempt, at most 16 tokens unless said. */
export function createRequest(init: RequestInit): GenerateRequest {
  return {
    attempt: 0,
    choice: 0,
    outputIds: new Uint32Array(0),
    sampling: greedy,
    limits: { maxTokens: 16 },
    mode: "full",
    avoid: [],
    ...init,
  };
}

import type { Grammar } from "./request.ts";
/** Where the tokenizer is: an artefact that the engine serves by digest. */
export interface TokenizerRef {
  /** `hf-json`: a Hugging Face `tokenizer.json`. */
  readonly format: "hf-json";
  /** SHA-256 of the artefact, lower-case hex. Workers with another digest never share KV or migrate to each other. */
  readonly digest: string;
}

export interface SpecialIds {
  readonly bos?: number;
  /** Every id that ends a generation. */
  readonly eos: readonly number[];
  readonly unknown?: number;
  readonly pad?: number;
}

/** One group of layers with KV of one kind. Only `full_attention` groups prove a prefix. */
export interface KvGroup {
  readonly kind: "full_attention" | "sliding_window" | "recurrent";
  /** For `sliding_window`: how many tokens it holds. */
  readonly windowTokens?: number;
}

/**
 * How a handoff of KV between a prefill and a decode worker is arranged.
 * - `sequential`: the handoff comes with prefill's end (vLLM NIXL, TensorRT-LLM, llama.cpp).
 * - `rendezvous`: both sides are called at once and meet in one room (SGLang, Mooncake).
 * - `addressed`: prefill is told where decode will be (P2P-NCCL, NIXL push).
 */
export type ConnectorStyle = "sequential" | "rendezvous" | "addressed";

export interface Connector {
  /** Two workers can hand over when both cards carry the same name. */
  readonly name: string;
  readonly style: ConnectorStyle;
  /** What the peer must know before the call: rendezvous: prefill's bootstrap; addressed: decode's address. Opaque here. */
  readonly endpoint?: Uint8Array;
}

/** What an engine can carry over when it resumes another's output. A request that needs more is not resumed there. */
export interface ResumeCapabilities {
  /** Sampling is a function of (seed, choice, absolute output index). */
  readonly rng: boolean;
  /** Penalties and min_tokens count `outputIds` as output. */
  readonly penalties: boolean;
  /** Replays `outputIds` through the grammar before it samples. */
  readonly grammar: boolean;
  /** Log probabilities after the break equal those of an undisturbed run. */
  readonly logprobs: boolean;
}

/** Generation settings that a model's author recommends; the frontend applies them where a request is silent. */
export interface GenerationDefaults {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
}

/** What a model is and what its engine can do: the same for every worker that may stand in for another. */
export interface ModelCard {
  readonly model: string;
  readonly tokenizer: TokenizerRef;
  /** Jinja chat template; absent for completion-only models. */
  readonly chatTemplate?: string;
  readonly specialIds: SpecialIds;
  /** Whether a prompt given as text starts with `specialIds.bos`. Default false. */
  readonly addBos?: boolean;
  readonly generationDefaults?: GenerationDefaults;
  /** Prompt and output together, in tokens. */
  readonly contextTokens: number;
  /** Tokens in one KV block, for block names and events. */
  readonly blockTokens: number;
  /** How blocks are named for routing; always `xxh3-64/1337` today. */
  readonly hashScheme: string;
  /** SHA-256 hex (or any stable digest) of the weights. */
  readonly weightsDigest: string;
  /** Digest of KV dtype, layout and layer set: equal means that KV bytes may be shared. */
  readonly kvLayoutDigest: string;
  readonly kvGroups: readonly KvGroup[];
  readonly connectors: readonly Connector[];
  readonly resume: ResumeCapabilities;
  /** The same ids come out whatever shares the batch, and however a prompt is split. Identity is claimed only then. */
  readonly batchInvariant: boolean;
  readonly tasks: readonly ("chat" | "completion" | "embedding")[];
  /** How its engine can constrain the output. Absent: not at all. */
  readonly grammars?: readonly Grammar["kind"][];
  /** Names of loaded LoRA adapters. */
  readonly adapters: readonly string[];
  /** Session contract versions that the worker speaks, inclusive. */
  readonly contract: { readonly min: number; readonly max: number };
}

/** The block-name scheme of architecture section 6. */
export const hashSchemeXxh3: string = "xxh3-64/1337";

/** The newest session contract of this build. */
export const contractVersion: number = 1;

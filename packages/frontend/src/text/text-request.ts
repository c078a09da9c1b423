import type { GenerateRequest, Grammar, Hints, RequestObserver } from "@stator/core";
import type { ChatMessage } from "./template/chat-template.ts";
import type { ChoiceFinish, TextPiece } from "./tokens/choice-decoder.ts";

/** What to continue: a conversation, a text, or token ids. */
export type TextPrompt =
  | {
      readonly messages: readonly ChatMessage[];
      /** OpenAI's `tools`: the template shows them to the model, and its calls come as `toolCall` where their format is known. */
      readonly tools?: readonly unknown[];
      /** Whether the model may call (`auto`, default), must call one of the tools, or must call the named one. */
      readonly toolChoice?: "auto" | "required" | { readonly name: string };
      /** Whether one answer may make several calls. Default true; false ends it with its first complete one. */
      readonly parallelToolCalls?: boolean;
      readonly templateVariables?: Readonly<Record<string, unknown>>;
    }
  | { readonly text: string }
  | { readonly ids: Uint32Array };

/** A generation in terms of text. What is absent takes the model's recommended value, then the neutral one. */
export interface TextRequest {
  /** Unique per request. Default: a random one. */
  readonly id?: string;
  readonly prompt: TextPrompt;
  /** Choices to generate from this prompt. Default 1. */
  readonly n?: number;
  /** Index of the first of them. Default 0. */
  readonly firstChoice?: number;
  /** Output tokens of each choice. Default: what the context has left. */
  readonly maxTokens?: number;
  readonly minTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly repetitionPenalty?: number;
  readonly logitBias?: ReadonlyMap<number, number>;
  /** Unsigned 64-bit. Default: a random one, fixed here so that every attempt agrees. */
  readonly seed?: bigint;
  /** Texts that end a choice; they are not part of it. */
  readonly stop?: readonly string[];
  readonly stopIds?: readonly number[];
  readonly ignoreEos?: boolean;
  /** Log probabilities: how many alternatives per token. Absent: none. */
  readonly topLogprobs?: number;
  readonly grammar?: Grammar;
  readonly adapter?: string;
  readonly tenantSalt?: string;
  readonly priority?: number;
  readonly hints?: Hints;
  readonly traceparent?: string;
}

export interface TextOptions {
  readonly signal: AbortSignal;
  readonly onEvent?: RequestObserver;
}

/** What a request cost. */
export interface TextUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens that a worker held already, of the first attempt. */
  readonly cachedTokens: number;
  /** Completion tokens up to the end of the thoughts, those of their marks too; 0 where none are told apart. */
  readonly reasoningTokens: number;
}

/** A piece of the answer; its text is final, and may be empty on the last. */
export interface TextPart extends TextPiece {
  readonly choice: number;
  /** On a choice's last part. */
  readonly finish?: ChoiceFinish;
  /** On the last part of all. */
  readonly usage?: TextUsage;
}

/** A request that has become token ids: validated against the model, one engine request per choice. */
export interface PreparedText {
  readonly id: string;
  readonly promptTokens: number;
  readonly choices: readonly GenerateRequest[];
  readonly stop: readonly string[];
  /** How the prompt ends, for those who must know whether a template began the model's thoughts. */
  readonly promptEnd: string;
}

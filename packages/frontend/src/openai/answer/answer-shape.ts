import type { ChatToolCall } from "../../text/template/chat-template.ts";
import type { ChoiceFinish, TextPiece, TokenText } from "../../text/tokens/choice-decoder.ts";
import type { TextUsage } from "../../text/text-request.ts";

/** What an answer says of itself. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly model: string;
  /** Whether every event has a `usage` field, null but in the last. */
  readonly includeUsage: boolean;
  /** Whether choices have a `logprobs` field that is not null. */
  readonly logprobs: boolean;
}

/** `finish_reason` as OpenAI has it. */
type OpenAIFinishReason = "stop" | "length" | "tool_calls";

export function finishReasonOf({ reason }: ChoiceFinish): OpenAIFinishReason {
  return reason === "toolCalls" ? "tool_calls" : reason;
}

/** One finished choice of an answer that is not streamed. */
export interface FinishedChoice {
  readonly index: number;
  readonly text: string;
  /** Empty where no thoughts were told apart. */
  readonly reasoning: string;
  readonly toolCalls: readonly ChatToolCall[];
  readonly tokens: readonly TokenText[];
  readonly finishReason: OpenAIFinishReason;
}

/** Writes the events of one choice: made once per choice, so that an event per token costs one concatenation. */
interface ChoiceWriter {
  /** What comes before the first piece; empty if nothing does. */
  open(): string;
  piece(piece: TextPiece): string;
  finish(reason: OpenAIFinishReason): string;
}

/** How one endpoint words its answers. */
export interface AnswerShape {
  choiceWriter(head: AnswerHead, index: number): ChoiceWriter;
  usageEvent(head: AnswerHead, usage: TextUsage): string;
  whole(head: AnswerHead, choices: readonly FinishedChoice[], usage: TextUsage): unknown;
}

/** OpenAI's `usage` object. */
export function usageBody(usage: TextUsage): Record<string, unknown> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    ...(usage.reasoningTokens === 0
      ? {}
      : { completion_tokens_details: { reasoning_tokens: usage.reasoningTokens } }),
  };
}

/** A comment: every reader of event streams skips it. */
export const keepAliveEvent = ": keep-alive\n\n";
/** The end of a successful event stream. */
export const doneEvent = "data: [DONE]\n\n";

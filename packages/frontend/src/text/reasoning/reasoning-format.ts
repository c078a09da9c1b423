import type { OutputParser } from "../output/output-parser.ts";
import type { ToolCallParser } from "../tool-calls/tool-call-format.ts";

/** How a model sets its thoughts apart from its answer. */
export type ReasoningFormatName = "harmony" | "kimiVl" | "mistral" | "seed" | "think";

export interface ReasoningContext {
  /** How the prompt ends: some templates begin the thoughts themselves. */
  readonly promptEnd: string;
  /** Reads the calls in what is no thought; undefined when the request has none to make. */
  readonly calls: ToolCallParser | undefined;
}

/** One way of writing thoughts. */
export interface ReasoningFormat {
  readonly name: ReasoningFormatName;
  /** The texts around thoughts; where they are control tokens, those must be part of the text. */
  readonly markers: readonly string[];
  /** Whether a chat template writes thoughts so. */
  isOf(chatTemplate: string): boolean;
  createParser(context: ReasoningContext): OutputParser;
}

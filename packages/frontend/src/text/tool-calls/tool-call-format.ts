import type { TextPiece } from "../tokens/choice-decoder.ts";

/** How a model writes the calls it makes. */
export type ToolCallFormatName =
  | "deepseek"
  | "deepseekV32"
  | "glm"
  | "harmony"
  | "hermes"
  | "kimiK2"
  | "llama3"
  | "minimaxM2"
  | "mistral"
  | "pythonic"
  | "qwen3Coder";

/** A piece of one call. The first of a call has `id` and `name`; the `arguments` of all pieces joined are JSON. */
export interface ToolCallPiece {
  /** Which call of the choice. */
  readonly index: number;
  readonly id?: string;
  readonly name?: string;
  readonly arguments: string;
}

/** What an output amounts to as it comes: text, a thought, or a piece of a call. */
export type CallOrText = Omit<TextPiece, "tokens">;

/** Finds the calls in one choice's text, however it is split into pieces. */
export interface ToolCallParser {
  push(text: string): readonly CallOrText[];
  /** What was held back for a call that did not come. */
  end(): readonly CallOrText[];
  /** Complete calls so far. */
  readonly callCount: number;
}

/** One way of writing calls. */
export interface ToolCallFormat {
  readonly name: ToolCallFormatName;
  /** Texts that announce a call; where they are control tokens, those must be part of the text. */
  readonly markers: readonly string[];
  /** Whether a chat template writes calls so. */
  isOf(chatTemplate: string): boolean;
  /** An id for a new call, such as the model's template takes back. */
  createId(): string;
  createParser(tools: CallableTools): ToolCallParser;
}

/** The tools of a request: the JSON schema of each one's arguments by its name; undefined where it says none. */
export type CallableTools = Pick<ReadonlyMap<string, unknown>, "has" | "get">;

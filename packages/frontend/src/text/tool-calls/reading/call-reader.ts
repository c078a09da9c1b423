import type { ToolCallPiece } from "../tool-call-format.ts";

/** Reads one call as it comes. */
export interface CallReader {
  readonly state: "open" | "done" | "broken";
  /** What it took so far, as it was written. */
  readonly raw: string;
  /** Whether something of this call was told. */
  readonly isTold: boolean;
  /** Takes `text` from `at` on and returns where it stopped: behind the call, at the character that broke it, or at the end. */
  push(text: string, at: number): number;
  /** What can be told since the last time. The last character of the arguments waits until the call is complete. */
  take(): readonly ToolCallPiece[];
}

export interface CallReaderOptions {
  readonly index: number;
  readonly id: string;
  /** Whether a call may be to this name. */
  accepts(name: string): boolean;
  /** JSON schema of a tool's arguments; undefined: nothing is known of them. */
  parametersOf(name: string): unknown;
}

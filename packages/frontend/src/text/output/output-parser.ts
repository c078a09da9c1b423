import type { ToolCallParser } from "../tool-calls/tool-call-format.ts";

/** Tells one choice's thoughts, answer and calls apart, however its text is split into pieces. */
export interface OutputParser extends ToolCallParser {
  /** Whether the last text that was pushed belongs to the model's thoughts. */
  readonly isReasoning: boolean;
}

/** The parser of an output that has calls and no thoughts. */
export function withoutReasoning(calls: ToolCallParser): OutputParser {
  return {
    isReasoning: false,
    get callCount() {
      return calls.callCount;
    },
    push: (text) => calls.push(text),
    end: () => calls.end(),
  };
}

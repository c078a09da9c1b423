import { createCallId } from "../tool-calls/call-id.ts";
import type { ToolCallFormat } from "../tool-calls/tool-call-format.ts";
import { withoutReasoning, type OutputParser } from "../output/output-parser.ts";
import type { ReasoningFormat } from "../reasoning/reasoning-format.ts";
import { createHarmonyParser, harmonyMarks } from "./harmony-parser.ts";

/** The two marks together are nobody else's. */
const isOf = (template: string): boolean =>
  template.includes("<|channel|>") && template.includes("<|message|>");

/**
 * gpt-oss: messages in channels, `<|channel|>commentary to=functions.name <|constrain|>json<|message|>{…}<|call|>` for a call (OpenAI's
 * description of the harmony response format). One parser reads thoughts, answer and calls.
 */
export const harmony: ToolCallFormat = {
  name: "harmony",
  markers: harmonyMarks,
  isOf,
  createId: createCallId,
  createParser: () => createHarmonyParser({ hasTools: true, createId: createCallId }),
};

export const harmonyReasoning: ReasoningFormat = {
  name: "harmony",
  markers: harmonyMarks,
  isOf,
  createParser({ calls }) {
    if (calls === undefined) return createHarmonyParser({ hasTools: false, createId: createCallId });
    return "isReasoning" in calls ? (calls as OutputParser) : withoutReasoning(calls);
  },
};

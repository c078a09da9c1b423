import { createCallId } from "./call-id.ts";
import { createFramedParser, type CallFrame } from "./framed-parser.ts";
import type { ToolCallFormat } from "./tool-call-format.ts";

const frame: CallFrame = {
  openers: ["<tool_call>"],
  isBareAllowed: false,
  listStart: "",
  between: "",
  closer: "</tool_call>",
};

/**
 * `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, one element per call: Hermes 2 and 3, Qwen 2.5 and 3. Templates that
 * write something else than JSON into the same element (Qwen3-Coder's `<function=…>`, GLM's `<arg_key>`) are not of this format.
 */
export const hermes: ToolCallFormat = {
  name: "hermes",
  markers: [...frame.openers, frame.closer],
  isOf: (template) =>
    template.includes("<tool_call>") && !template.includes("<function=") && !template.includes("<arg_key>"),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

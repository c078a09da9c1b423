import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createJsonCallReader } from "../reading/json-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const frame: CallFrame = {
  openers: ["<tool_call>"],
  callStart: "",
  bareStart: "",
  listStart: "",
  between: "",
  closers: ["</tool_call>"],
  begins: (character) => character === "{",
  createReader: createJsonCallReader,
};

/**
 * `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, one element per call: Hermes 2 and 3, Qwen 2.5 and 3. Templates that
 * write something else than JSON into the same element (Qwen3-Coder's `<function=…>`, GLM's `<arg_key>`) are not of this format.
 */
export const hermes: ToolCallFormat = {
  name: "hermes",
  markers: [...frame.openers, ...frame.closers],
  isOf: (template) =>
    template.includes("<tool_call>") && !template.includes("<function=") && !template.includes("<arg_key>"),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

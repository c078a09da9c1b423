import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createJsonCallReader } from "../reading/json-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const frame: CallFrame = {
  openers: ["<|python_tag|>"],
  callStart: "",
  bareStart: "{",
  listStart: "",
  between: ";",
  closers: [],
  begins: (character) => character === "{",
  createReader: createJsonCallReader,
};

/**
 * `{"name": …, "parameters": {…}}` as the whole answer or behind `<|python_tag|>`; several with `;` between them: Llama 3.1 to
 * 3.3. Without the tag only an answer that begins with the object is a call, and only to a tool of the request.
 */
export const llama3: ToolCallFormat = {
  name: "llama3",
  markers: frame.openers,
  isOf: (template) =>
    template.includes("<|python_tag|>") ||
    (template.includes("<|start_header_id|>") && template.includes('"parameters"')),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createJsonCallReader } from "../reading/json-call-reader.ts";
import { createPythonCallReader } from "../reading/python-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const begin = "<|python_start|>";
const end = "<|python_end|>";

const frame: CallFrame = {
  openers: [begin],
  callStart: "",
  bareStart: "[{",
  listStart: "[",
  between: ",",
  closers: ["]", end],
  begins: (character) => /[A-Za-z_{]/.test(character),
  createReader: (options, first) =>
    first === "{" ? createJsonCallReader(options) : createPythonCallReader(options),
};

/**
 * `[name(key="value"), other()]` as the whole answer, or between `<|python_start|>` and `<|python_end|>`: Llama 4, Llama 3.2 with
 * its small models; or an object as of Llama 3, which Llama 4 writes too. Without the mark only to tools of the request.
 */
export const pythonic: ToolCallFormat = {
  name: "pythonic",
  markers: [begin, end],
  isOf: (template) => template.includes(begin) || template.includes("[func_name1("),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

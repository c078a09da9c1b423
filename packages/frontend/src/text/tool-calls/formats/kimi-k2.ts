import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createNamedCallReader, type CallHead } from "../reading/named-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const begin = "<|tool_calls_section_begin|>";
const callBegin = "<|tool_call_begin|>";
const argumentBegin = "<|tool_call_argument_begin|>";
const callEnd = "<|tool_call_end|>";
const end = "<|tool_calls_section_end|>";

const head = /^((?:functions\.)?([\w.-]+?)(?::\d+)?)\s*<\|tool_call_argument_begin\|>\s*$/;

/** The template writes a call's id where the model wrote `functions.name:0`: it must come back as it was. */
function readHead(text: string): CallHead | undefined {
  const [, id, name] = head.exec(text) ?? [];
  return id === undefined || name === undefined ? undefined : { id, name };
}

const frame: CallFrame = {
  openers: [begin, callBegin],
  callStart: "",
  bareStart: "",
  listStart: callBegin,
  between: callBegin,
  closers: [callEnd, end],
  begins: (character) => /\w/.test(character),
  createReader: (options) => createNamedCallReader(options, readHead),
};

/** `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`: Kimi K2 (its tool-call guidance). */
export const kimiK2: ToolCallFormat = {
  name: "kimiK2",
  markers: [begin, callBegin, argumentBegin, callEnd, end],
  isOf: (template) => template.includes(argumentBegin),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createTaggedCallReader, type TaggedSyntax } from "../reading/tagged-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const syntax: TaggedSyntax = {
  nameStart: "",
  nameEnd: "",
  keyStart: "<arg_key>",
  keyEnd: "</arg_key>",
  valueStart: "<arg_value>",
  valueEnd: "</arg_value>",
  end: "</tool_call>",
  isOnOwnLines: false,
};

const frame: CallFrame = {
  openers: ["<tool_call>"],
  callStart: "",
  bareStart: "",
  listStart: "",
  between: "",
  closers: [],
  begins: (character) => /\w/.test(character),
  createReader: (options) => createTaggedCallReader(options, syntax),
};

/** `<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>`: GLM 4.5 and later. */
export const glm: ToolCallFormat = {
  name: "glm",
  markers: [...frame.openers, syntax.end, syntax.keyStart, syntax.keyEnd, syntax.valueStart, syntax.valueEnd],
  isOf: (template) => template.includes("<arg_key>"),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createTaggedCallReader, type TaggedSyntax } from "../reading/tagged-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const syntax: TaggedSyntax = {
  nameStart: "<function=",
  nameEnd: ">",
  keyStart: "<parameter=",
  keyEnd: ">",
  valueStart: "",
  valueEnd: "</parameter>",
  end: "</function>",
  isOnOwnLines: true,
};

const frame: CallFrame = {
  openers: ["<tool_call>"],
  // The model forgets the element around the function now and then.
  callStart: syntax.nameStart,
  bareStart: "",
  listStart: "",
  between: "",
  closers: ["</tool_call>"],
  begins: (character) => character === "<",
  createReader: (options) => createTaggedCallReader(options, syntax),
};

/** `<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`: Qwen3-Coder, Qwen3-Next and later. */
export const qwen3Coder: ToolCallFormat = {
  name: "qwen3Coder",
  markers: [...frame.openers, ...frame.closers],
  isOf: (template) => template.includes("<function=") && template.includes("<parameter="),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

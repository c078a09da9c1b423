import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createTaggedCallReader, type TaggedSyntax } from "../reading/tagged-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const syntax: TaggedSyntax = {
  nameStart: '<invoke name="',
  nameEnd: '">',
  keyStart: '<parameter name="',
  keyEnd: '">',
  valueStart: "",
  valueEnd: "</parameter>",
  end: "</invoke>",
  isOnOwnLines: false,
};

const frame: CallFrame = {
  openers: ["<minimax:tool_call>"],
  callStart: syntax.nameStart,
  bareStart: "",
  listStart: "",
  between: "",
  closers: ["</minimax:tool_call>"],
  begins: (character) => character === "<",
  createReader: (options) => createTaggedCallReader(options, syntax),
};

/** `<minimax:tool_call><invoke name="name"><parameter name="key">value</parameter></invoke></minimax:tool_call>`: MiniMax M2. */
export const minimaxM2: ToolCallFormat = {
  name: "minimaxM2",
  markers: [...frame.openers, ...frame.closers],
  isOf: (template) => template.includes("minimax:tool_call"),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

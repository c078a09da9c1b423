import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createTaggedCallReader, type TaggedSyntax } from "../reading/tagged-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const token = "｜DSML｜";

const syntax: TaggedSyntax = {
  nameStart: `<${token}invoke name="`,
  nameEnd: '">',
  keyStart: `<${token}parameter name="`,
  keyEnd: '">',
  keyEndOfString: '" string="true">',
  keyEndOfJson: '" string="false">',
  valueStart: "",
  valueEnd: `</${token}parameter>`,
  end: `</${token}invoke>`,
  isOnOwnLines: false,
};

const frame: CallFrame = {
  openers: [`<${token}function_calls>`, `<${token}tool_calls>`],
  callStart: syntax.nameStart,
  bareStart: "",
  listStart: "",
  between: "",
  closers: [`</${token}function_calls>`, `</${token}tool_calls>`],
  begins: (character) => character === "<",
  createReader: (options) => createTaggedCallReader(options, syntax),
};

/**
 * `<｜DSML｜invoke name="name"><｜DSML｜parameter name="key" string="true">value</｜DSML｜parameter></｜DSML｜invoke>`, in `function_calls`
 * (V3.2) or `tool_calls` (V4). The attribute says whether a value is the text as it stands or JSON.
 */
export const deepseekV32: ToolCallFormat = {
  name: "deepseekV32",
  markers: [token],
  isOf: (template) => template.includes(token),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

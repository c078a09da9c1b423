import { createCallId } from "../call-id.ts";
import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createNamedCallReader, type CallHead } from "../reading/named-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

const begin = "<｜tool▁calls▁begin｜>";
const callBegin = "<｜tool▁call▁begin｜>";
const separator = "<｜tool▁sep｜>";
const callEnd = "<｜tool▁call▁end｜>";
const end = "<｜tool▁calls▁end｜>";

/** V3 and R1: the call's type, its name, a fenced block. V3.1: the name alone. */
const heads: readonly RegExp[] = [
  new RegExp(`^function${separator}([^\\s<{]+)\\s*\`\`\`json\\s*$`),
  new RegExp(`^([^\\s<{]+)${separator}\\s*$`),
];

function readHead(text: string): CallHead | undefined {
  for (const head of heads) {
    const name = head.exec(text)?.[1];
    if (name !== undefined) return { name };
  }
  return undefined;
}

const frame: CallFrame = {
  openers: [begin, callBegin],
  callStart: "",
  bareStart: "",
  listStart: callBegin,
  between: callBegin,
  closers: ["```", callEnd, end],
  begins: (character) => /\w/.test(character),
  createReader: (options) => createNamedCallReader(options, readHead),
};

/**
 * `<｜tool▁call▁begin｜>function<｜tool▁sep｜>name` and a fenced JSON block: DeepSeek V3 and R1; the name, the separator and bare
 * JSON: V3.1.
 */
export const deepseek: ToolCallFormat = {
  name: "deepseek",
  markers: [begin, callBegin, separator, callEnd, end],
  isOf: (template) => template.includes(callBegin),
  createId: createCallId,
  createParser: (tools) => createFramedParser({ frame, tools, createId: createCallId }),
};

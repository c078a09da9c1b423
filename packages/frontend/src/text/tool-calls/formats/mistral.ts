import { createFramedParser, type CallFrame } from "../reading/framed-parser.ts";
import { createJsonCallReader } from "../reading/json-call-reader.ts";
import { createNamedCallReader, type CallHead } from "../reading/named-call-reader.ts";
import type { ToolCallFormat } from "../tool-call-format.ts";

/** Between a name and its arguments; servers that drop control tokens leave nothing of it. */
const head = /^([\w.-]+)(?:\[CALL_ID\][^[\]{}]*)?(?:\[ARGS\])?\s*$/;

function readHead(text: string): CallHead | undefined {
  const name = head.exec(text)?.[1];
  return name === undefined ? undefined : { name };
}

const frame: CallFrame = {
  openers: ["[TOOL_CALLS]"],
  callStart: "",
  bareStart: "",
  listStart: "[",
  between: ",",
  closers: ["]"],
  begins: (character) => /[{\w]/.test(character),
  createReader: (options, first) =>
    first === "{" ? createJsonCallReader(options) : createNamedCallReader(options, readHead),
};

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Mistral's templates refuse ids that are not nine letters and digits. */
function createId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => letters[byte % letters.length]).join(
    "",
  );
}

/**
 * `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]` of Mistral's tokenizers up to version 7, and `[TOOL_CALLS]name[ARGS]{…}` of
 * later ones, with or without `[CALL_ID]…` (mistral-common's instruct tokenizers).
 */
export const mistral: ToolCallFormat = {
  name: "mistral",
  markers: ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"],
  isOf: (template) => template.includes("[TOOL_CALLS]"),
  createId,
  createParser: (tools) => createFramedParser({ frame, tools, createId }),
};

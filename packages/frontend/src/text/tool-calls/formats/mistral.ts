import { createFramedParser, type CallFrame } from "./framed-parser.ts";
import type { ToolCallFormat } from "./tool-call-format.ts";

const frame: CallFrame = {
  openers: ["[TOOL_CALLS]"],
  isBareAllowed: false,
  listStart: "[",
  between: ",",
  closer: "]",
};

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Mistral's templates refuse ids that are not nine letters and digits. */
function createId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => letters[byte % letters.length]).join(
    "",
  );
}

/**
 * `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`: Mistral's tokenizers up to version 7. Later ones write
 * `[TOOL_CALLS]name[ARGS]{…}`, which is not of this format.
 */
export const mistral: ToolCallFormat = {
  name: "mistral",
  markers: frame.openers,
  isOf: (template) => template.includes("[TOOL_CALLS]") && !template.includes("[ARGS]"),
  createId,
  createParser: (tools) => createFramedParser({ frame, tools, createId }),
};

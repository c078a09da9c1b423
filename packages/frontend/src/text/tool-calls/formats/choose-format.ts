import { hermes } from "./hermes.ts";
import { llama3 } from "./llama3.ts";
import { mistral } from "./mistral.ts";
import type { ToolCallFormat, ToolCallFormatName } from "./tool-call-format.ts";

const formats: readonly ToolCallFormat[] = [mistral, hermes, llama3];

/** The formats that can be asked for by name. */
export const toolCallFormatNames: readonly ToolCallFormatName[] = formats.map(({ name }) => name);

/**
 * The format that was asked for, else the one whose marks stand in the chat template; undefined for `none` and for templates
 * that nobody here knows: what such a model calls stays text.
 */
export function chooseFormat(
  asked: ToolCallFormatName | "none" | undefined,
  chatTemplate: string | undefined,
): ToolCallFormat | undefined {
  if (asked !== undefined) return formats.find(({ name }) => name === asked);
  return chatTemplate === undefined ? undefined : formats.find((format) => format.isOf(chatTemplate));
}

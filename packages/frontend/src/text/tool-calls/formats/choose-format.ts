import { harmony } from "../../harmony/harmony.ts";
import type { ToolCallFormat, ToolCallFormatName } from "../tool-call-format.ts";
import { deepseek } from "./deepseek.ts";
import { deepseekV32 } from "./deepseek-v32.ts";
import { glm } from "./glm.ts";
import { hermes } from "./hermes.ts";
import { kimiK2 } from "./kimi-k2.ts";
import { llama3 } from "./llama3.ts";
import { minimaxM2 } from "./minimax-m2.ts";
import { mistral } from "./mistral.ts";
import { pythonic } from "./pythonic.ts";
import { qwen3Coder } from "./qwen3-coder.ts";

/** Those whose marks are most their own come first. */
const formats: readonly ToolCallFormat[] = [
  harmony,
  mistral,
  deepseekV32,
  minimaxM2,
  deepseek,
  kimiK2,
  qwen3Coder,
  glm,
  hermes,
  pythonic,
  llama3,
];

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

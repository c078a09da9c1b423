import { harmonyReasoning } from "../harmony/harmony.ts";
import type { ReasoningFormat, ReasoningFormatName } from "./reasoning-format.ts";
import { createThoughtParser } from "./thought-parser.ts";

/** Thoughts between two marks at the beginning of the output. */
function between(name: ReasoningFormatName, open: string, close: string): ReasoningFormat {
  return {
    name,
    markers: [open, close],
    isOf: (template) => template.includes(close) || template.includes(open),
    createParser: ({ promptEnd, calls }) =>
      createThoughtParser({ open, close, isOpen: promptEnd.trimEnd().endsWith(open), calls }),
  };
}

/** Marks as the models' chat templates have them. */
const formats: readonly ReasoningFormat[] = [
  harmonyReasoning,
  /** DeepSeek R1 and V3.1, Qwen3 and QwQ, GLM 4.5, MiniMax M2, Kimi K2 Thinking, Nemotron. */
  between("think", "<think>", "</think>"),
  /** Magistral. */
  between("mistral", "[THINK]", "[/THINK]"),
  /** Seed-OSS. */
  between("seed", "<seed:think>", "</seed:think>"),
  /** Kimi-VL Thinking. */
  between("kimiVl", "◁think▷", "◁/think▷"),
];

/** The formats that can be asked for by name. */
export const reasoningFormatNames: readonly ReasoningFormatName[] = formats.map(({ name }) => name);

/**
 * The format that was asked for, else the one whose marks stand in the chat template; undefined for `none` and for templates without
 * any: all such a model writes is its answer.
 */
export function chooseReasoning(
  asked: ReasoningFormatName | "none" | undefined,
  chatTemplate: string | undefined,
): ReasoningFormat | undefined {
  if (asked !== undefined) return formats.find(({ name }) => name === asked);
  return chatTemplate === undefined ? undefined : formats.find((format) => format.isOf(chatTemplate));
}

import {
  defineEngine,
  type Engine,
  type EngineStep,
  type GenerateRequest,
  type ModelCard,
} from "@stator/core";
import { createVocabulary, type TokenizerJson } from "../src/text/tokens/vocabulary.ts";
import { byteTokenizer } from "./kit.ts";

/** Marks of calls that are control tokens in the models that have them. */
const controlTokens = [
  "<|python_tag|>",
  "[TOOL_CALLS]",
  "[ARGS]",
  "<|python_start|>",
  "<|python_end|>",
  "<｜tool▁calls▁begin｜>",
  "<｜tool▁call▁begin｜>",
  "<｜tool▁sep｜>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁calls▁end｜>",
  "<|tool_calls_section_begin|>",
  "<|tool_call_begin|>",
  "<|tool_call_argument_begin|>",
  "<|tool_call_end|>",
  "<|tool_calls_section_end|>",
  "<|start|>",
  "<|channel|>",
  "<|message|>",
  "<|constrain|>",
  "<|end|>",
  "<|call|>",
  "[THINK]",
  "[/THINK]",
  "｜DSML｜",
];
const anyControlToken = new RegExp(
  `(${controlTokens.map((mark) => mark.replace(/[|[\]]/g, "\\$&")).join("|")})`,
);

/** An engine that reads its prompt as text and answers with a text; the marks of calls are control tokens, as in real models. */
export function textEngine(
  answer: (prompt: string, request: GenerateRequest) => string,
  chatTemplate: string,
  card: Partial<ModelCard> = {},
): Engine {
  const base = byteTokenizer();
  const json = JSON.parse(base.json as string) as TokenizerJson & { added_tokens: object[] };
  const first = base.eos + 1;
  for (const [i, content] of controlTokens.entries())
    json.added_tokens.push({ ...json.added_tokens[0], id: first + i, content });
  const tokenizer = { ...base, json: JSON.stringify(json), digest: "with-marks", chatTemplate };
  const vocabulary = createVocabulary(json);
  return defineEngine(
    { model: "m", contextTokens: 8192, tokenizer, card },
    async function* (request): AsyncGenerator<EngineStep> {
      const bytes = [...request.promptIds].flatMap((id) => [...vocabulary.bytes(id)]);
      const text = answer(new TextDecoder().decode(Uint8Array.from(bytes)), request);
      for (const part of text.split(anyControlToken)) {
        const control = controlTokens.indexOf(part);
        if (control >= 0) yield { ids: [first + control] };
        else for (const byte of new TextEncoder().encode(part)) yield { ids: [byte] };
      }
      yield { ids: [base.eos] };
    },
  );
}

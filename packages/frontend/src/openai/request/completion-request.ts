import { extended } from "@stator/core";
import { z } from "zod";
import { invalidParam } from "../../errors.ts";
import type { TextPrompt } from "../../text/text-request.ts";
import { textFields, type ParseRequest } from "./chat-request.ts";
import type { OpenAILimits } from "../limits.ts";
import { checkTogether, parseFields, refuse, samplingFields } from "./sampling-fields.ts";

/** Output tokens when the request does not say: the legacy endpoint's own default. */
const defaultMaxTokens = 16;

/** The parser of `/v1/completions` bodies: a string, strings, token ids, or lists of token ids. */
export function completionRequestParser(limits: Required<OpenAILimits>): ParseRequest {
  const schema = z.object({
    ...samplingFields(limits),
    prompt: z.unknown(),
    logprobs: z.int().min(0).max(20).optional(),
    echo: z.boolean().optional(),
    best_of: z.int().min(1).max(limits.choices).optional(),
    suffix: z.string().optional(),
  });
  return (body) => {
    const fields = parseFields(schema, body);
    checkTogether(fields);
    const n = fields.n ?? 1;
    if (fields.echo === true) refuse("echo", "echo is not supported.");
    if (fields.suffix !== undefined && fields.suffix !== "") refuse("suffix", "suffix is not supported.");
    if (fields.best_of !== undefined && fields.best_of !== n)
      refuse("best_of", "best_of is only supported when it equals n.");
    const prompts = parsePrompts(fields.prompt);
    if (prompts.length * n > limits.choices) {
      throw invalidParam(
        "prompt",
        `${prompts.length} prompts of n = ${n} make more than ${limits.choices} choices.`,
      );
    }
    return {
      model: fields.model,
      stream: fields.stream ?? false,
      includeUsage: fields.stream_options?.include_usage ?? false,
      logprobs: fields.logprobs !== undefined,
      n,
      prompts,
      text: extended(textFields(fields), {
        maxTokens: fields.max_tokens ?? defaultMaxTokens,
        ...(fields.logprobs === undefined ? {} : { topLogprobs: fields.logprobs }),
      }),
    };
  };
}

function parsePrompts(value: unknown): readonly TextPrompt[] {
  if (value === undefined) throw invalidParam("prompt", "prompt is required.");
  if (typeof value === "string") return [{ text: value }];
  if (value instanceof Uint32Array) return [{ ids: value }];
  if (!Array.isArray(value) || value.length === 0) throw badPrompt("prompt");
  const list = value as unknown[];
  if (typeof list[0] === "number") return [{ ids: tokenIds(list, "prompt") }];
  return list.map((one, i) => {
    if (typeof one === "string") return { text: one };
    if (one instanceof Uint32Array) return { ids: one };
    if (Array.isArray(one) && one.length > 0) return { ids: tokenIds(one as unknown[], `prompt[${i}]`) };
    throw badPrompt(`prompt[${i}]`);
  });
}

function tokenIds(list: readonly unknown[], param: string): Uint32Array {
  const ids = new Uint32Array(list.length);
  for (const [i, id] of list.entries()) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 0xffffffff || Object.is(id, -0)) {
      throw invalidParam(
        `${param}[${i}]`,
        `${param}[${i}]: expected a token id, an integer from 0 to 4294967295.`,
      );
    }
    ids[i] = id;
  }
  return ids;
}

function badPrompt(param: string): Error {
  return invalidParam(
    param,
    `${param}: expected a string, a list of strings, a list of token ids, or lists of token ids; none of them empty.`,
  );
}

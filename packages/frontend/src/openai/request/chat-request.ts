import type { Grammar } from "@stator/core";
import { z } from "zod";
import { invalidParam } from "../../errors.ts";
import type { ChatMessage } from "../../text/template/chat-template.ts";
import type { TextRequest } from "../../text/text-request.ts";
import type { OpenAILimits } from "../limits.ts";
import {
  checkTogether,
  isPlainObject,
  parseFields,
  refuse,
  samplingFields,
  type SamplingFields,
} from "./sampling-fields.ts";

/** A body of either endpoint, checked: what to generate and how to answer. */
export interface OpenAIRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Whether the answer carries log probabilities. */
  readonly logprobs: boolean;
  /** One per prompt; each makes `n` choices. */
  readonly prompts: readonly TextRequest["prompt"][];
  readonly n: number;
  readonly text: Omit<TextRequest, "prompt" | "n" | "firstChoice">;
}

export type ParseRequest = (body: unknown) => OpenAIRequest;

const part = z.object({ type: z.string(), text: z.string().optional() });
const toolCall = z.object({
  id: z.string().max(512).optional(),
  type: z.literal("function").optional(),
  function: z.object({ name: z.string().max(512), arguments: z.string() }),
});

/** The parser of `/v1/chat/completions` bodies. */
export function chatRequestParser(limits: Required<OpenAILimits>): ParseRequest {
  const message = z.object({
    role: z.enum(["system", "developer", "user", "assistant", "tool"]),
    content: z
      .union([z.string(), z.array(part).max(limits.messages)], "expected a string or a list of parts")
      .nullish(),
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
    name: z.string().max(512).nullish(),
    tool_calls: z.array(toolCall).max(128).nullish(),
    tool_call_id: z.string().max(512).nullish(),
  });
  const schema = z.object({
    ...samplingFields(limits),
    messages: z.array(message).min(1).max(limits.messages),
    max_completion_tokens: z
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .optional(),
    logprobs: z.boolean().optional(),
    top_logprobs: z.int().min(0).max(20).optional(),
    tools: z
      .array(z.custom<Record<string, unknown>>(isPlainObject, "expected an object"))
      .max(limits.tools)
      .optional(),
    parallel_tool_calls: z.boolean().optional(),
    tool_choice: z.union([z.string(), z.custom<Record<string, unknown>>(isPlainObject)]).optional(),
    response_format: z
      .object({
        type: z.enum(["text", "json_object", "json_schema"]),
        json_schema: z
          .object({ schema: z.custom<Record<string, unknown>>(isPlainObject, "expected an object") })
          .optional(),
      })
      .optional(),
    reasoning_effort: z.enum(["none", "minimal", "low", "medium", "high", "xhigh"]).optional(),
    chat_template_kwargs: z.custom<Record<string, unknown>>(isPlainObject, "expected an object").optional(),
    metadata: z
      .custom<Record<string, unknown>>(
        isMetadata,
        "expected at most 16 string values of at most 512 characters",
      )
      .optional(),
  });
  return (body) => {
    const fields = parseFields(schema, body);
    checkTogether(fields);
    if (fields.top_logprobs !== undefined && fields.logprobs !== true) {
      throw invalidParam("top_logprobs", "top_logprobs is only allowed when logprobs is true.");
    }
    const grammar = grammarOf(fields.response_format);
    const toolChoice = toolChoiceOf(fields.tool_choice);
    if (grammar !== undefined && toolChoice !== "auto" && toolChoice !== "none")
      refuse("tool_choice", 'tool_choice must be "auto" or "none" when response_format asks for JSON.');
    const tools = toolChoice === "none" ? undefined : fields.tools;
    const maxTokens = fields.max_completion_tokens ?? fields.max_tokens;
    return {
      model: fields.model,
      stream: fields.stream ?? false,
      includeUsage: fields.stream_options?.include_usage ?? false,
      logprobs: fields.logprobs ?? false,
      n: fields.n ?? 1,
      prompts: [
        {
          messages: fields.messages.map((one, i) => chatMessage(one, i)),
          ...(tools === undefined || tools.length === 0 ? {} : { tools }),
          ...(toolChoice === "auto" || toolChoice === "none" ? {} : { toolChoice }),
          ...(fields.parallel_tool_calls === undefined
            ? {}
            : { parallelToolCalls: fields.parallel_tool_calls }),
          ...templateVariables(fields.reasoning_effort, fields.chat_template_kwargs),
        },
      ],
      text: {
        ...textFields(fields),
        ...(maxTokens === undefined ? {} : { maxTokens }),
        ...(grammar === undefined ? {} : { grammar }),
        ...(fields.logprobs === true ? { topLogprobs: fields.top_logprobs ?? 0 } : {}),
      },
    };
  };

  function chatMessage(one: z.infer<typeof message>, index: number): ChatMessage {
    const content = Array.isArray(one.content)
      ? one.content.map((piece, i) => partText(piece, index, i)).join("\n")
      : (one.content ?? undefined);
    if (content === undefined && one.role !== "assistant")
      throw invalidParam(`messages[${index}].content`, `messages[${index}].content is required.`);
    return {
      role: one.role === "developer" ? "system" : one.role,
      content,
      ...reasoningOf(one.reasoning_content ?? one.reasoning),
      ...(one.name === undefined || one.name === null ? {} : { name: one.name }),
      ...(one.tool_call_id === undefined || one.tool_call_id === null
        ? {}
        : { toolCallId: one.tool_call_id }),
      ...(one.tool_calls === undefined || one.tool_calls === null
        ? {}
        : {
            toolCalls: one.tool_calls.map((call) => ({
              id: call.id ?? "",
              name: call.function.name,
              arguments: call.function.arguments,
            })),
          }),
    };
  }
}

/** Templates that know of effort (gpt-oss) read it by OpenAI's name; what a client says of the template itself goes first. */
function templateVariables(
  effort: string | undefined,
  variables: Readonly<Record<string, unknown>> | undefined,
): { readonly templateVariables?: Readonly<Record<string, unknown>> } {
  if (effort === undefined) return variables === undefined ? {} : { templateVariables: variables };
  return { templateVariables: { reasoning_effort: effort, ...variables } };
}

function reasoningOf(text: string | null | undefined): { readonly reasoning?: string } {
  return text === undefined || text === null || text === "" ? {} : { reasoning: text };
}

/** Whether a call can be forced is checked against the engine's card. */
function toolChoiceOf(
  choice: string | Record<string, unknown> | undefined,
): "auto" | "none" | "required" | { readonly name: string } {
  if (choice === undefined) return "auto";
  if (choice === "auto" || choice === "none" || choice === "required") return choice;
  if (typeof choice === "object" && choice["type"] === "function" && isPlainObject(choice["function"])) {
    const { name } = choice["function"];
    if (typeof name === "string") return { name };
  }
  if (typeof choice === "object" && typeof choice["type"] === "string" && choice["type"] !== "function")
    refuse("tool_choice.type", 'tool_choice.type must be "function": no other kind of choice is supported.');
  throw invalidParam(
    "tool_choice",
    'tool_choice must be "auto", "none", "required" or {"type":"function","function":{"name":…}}.',
  );
}

/** What the engine must hold the output to; whether it can is checked against its card. */
function grammarOf(
  format:
    { readonly type: string; readonly json_schema?: { readonly schema: unknown } | undefined } | undefined,
): Grammar | undefined {
  if (format === undefined || format.type === "text") return undefined;
  if (format.type === "json_object") return { kind: "jsonSchema", source: '{"type":"object"}' };
  if (format.json_schema === undefined)
    throw invalidParam(
      "response_format.json_schema",
      "response_format.json_schema with a schema is required.",
    );
  return { kind: "jsonSchema", source: JSON.stringify(format.json_schema.schema) };
}

/** Nothing is ever fetched for a client: parts with URLs are refused whatever they point to. */
function partText(piece: z.infer<typeof part>, message: number, index: number): string {
  const param = `messages[${message}].content[${index}]`;
  if (piece.type !== "text")
    refuse(
      param,
      `${param}: parts of type ${JSON.stringify(piece.type.slice(0, 64))} are not supported; only text is.`,
    );
  if (piece.text === undefined) throw invalidParam(param, `${param}: a text part needs "text".`);
  return piece.text;
}

function isMetadata(value: unknown): boolean {
  if (!isPlainObject(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= 16 &&
    entries.every(([key, text]) => key.length <= 64 && typeof text === "string" && text.length <= 512)
  );
}

/** The shared fields by our names. */
export function textFields(fields: SamplingFields): Omit<TextRequest, "prompt" | "n" | "firstChoice"> {
  const entries: Record<string, unknown> = {
    temperature: fields.temperature,
    topP: fields.top_p,
    topK: fields.top_k === undefined ? undefined : Math.max(0, fields.top_k),
    minP: fields.min_p,
    minTokens: fields.min_tokens,
    presencePenalty: fields.presence_penalty,
    frequencyPenalty: fields.frequency_penalty,
    repetitionPenalty: fields.repetition_penalty,
    logitBias: fields.logit_bias,
    seed: fields.seed,
    stop: fields.stop,
    stopIds: fields.stop_token_ids,
    ignoreEos: fields.ignore_eos,
  } satisfies Partial<Record<keyof TextRequest, unknown>>;
  for (const key of Object.keys(entries)) if (entries[key] === undefined) delete entries[key];
  return entries;
}

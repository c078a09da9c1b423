import type { GenerateRequest, ModelCard, Sampling } from "@stator/core";
import { FrontendError, invalidParam } from "../errors.ts";
import type { ModelArtifacts } from "./model-artifacts.ts";
import { randomSeed } from "./random-seed.ts";
import type { PreparedText, TextPrompt, TextRequest } from "./text-request.ts";

/**
 * Makes one engine request per choice out of a text request: template, ids, limits, sampling with its seed fixed.
 *
 * @throws FrontendError of kind `invalid`: `FRONTEND_CONTEXT_EXCEEDED`, `FRONTEND_PARAM_INVALID`, `FRONTEND_PARAM_UNSUPPORTED`,
 *   `FRONTEND_TEMPLATE_FAILED`.
 */
export async function prepareText(
  artifacts: ModelArtifacts,
  request: TextRequest,
  signal: AbortSignal,
): Promise<PreparedText> {
  const { card, vocabulary } = artifacts;
  if (request.grammar !== undefined && card.grammars?.includes(request.grammar.kind) !== true) {
    throw new FrontendError({
      code: "FRONTEND_PARAM_UNSUPPORTED",
      kind: "invalid",
      message: `The engine of model ${card.model} cannot hold its output to a ${request.grammar.kind === "jsonSchema" ? "JSON schema" : request.grammar.kind} (response_format). Leave it out, or ask for it in the prompt.`,
      data: { param: "response_format" },
    });
  }
  const text = textOf(artifacts, request.prompt);
  const promptIds = await idsOf(artifacts, request.prompt, text, signal);
  const room = card.contextTokens - promptIds.length;
  if (promptIds.length === 0)
    throw invalidParam("prompt", "The prompt is empty: at least one token is needed.");
  if (room < 1) throw contextExceeded(card, request.prompt, `The prompt has ${promptIds.length} tokens.`);
  if (request.maxTokens !== undefined && request.maxTokens > room) {
    throw contextExceeded(
      card,
      request.prompt,
      `The prompt has ${promptIds.length} tokens and max_tokens asks for ${request.maxTokens} more.`,
    );
  }
  for (const id of request.logitBias?.keys() ?? []) {
    if (id >= vocabulary.size)
      throw invalidParam(
        "logit_bias",
        `logit_bias names token ${id}, but the vocabulary ends at ${vocabulary.size - 1}.`,
      );
  }

  const id = request.id ?? crypto.randomUUID();
  const first = request.firstChoice ?? 0;
  const sampling = samplingOf(card, request);
  const choices: GenerateRequest[] = [];
  for (let choice = first; choice < first + (request.n ?? 1); choice++) {
    choices.push({
      id,
      model: card.model,
      attempt: 0,
      choice,
      promptIds,
      outputIds: new Uint32Array(0),
      sampling,
      limits: {
        maxTokens: request.maxTokens ?? room,
        ...(request.minTokens === undefined ? {} : { minTokens: request.minTokens }),
        ...(request.stopIds === undefined ? {} : { stopIds: request.stopIds }),
        ...(request.ignoreEos === undefined ? {} : { ignoreEos: request.ignoreEos }),
      },
      mode: "full",
      avoid: [],
      ...(request.topLogprobs === undefined ? {} : { topLogprobs: request.topLogprobs }),
      ...(request.adapter === undefined ? {} : { adapter: request.adapter }),
      ...(request.tenantSalt === undefined ? {} : { tenantSalt: request.tenantSalt }),
      ...(request.priority === undefined ? {} : { priority: request.priority }),
      ...(request.grammar === undefined ? {} : { grammar: request.grammar }),
      ...(request.hints === undefined ? {} : { hints: request.hints }),
      ...(request.traceparent === undefined ? {} : { traceparent: request.traceparent }),
    });
  }
  return {
    id,
    promptTokens: promptIds.length,
    choices,
    stop: request.stop ?? [],
    promptEnd: text?.slice(-64) ?? "",
  };
}

/** The prompt as text; undefined when it came as ids. */
function textOf(artifacts: ModelArtifacts, prompt: TextPrompt): string | undefined {
  if ("ids" in prompt) return undefined;
  return "text" in prompt ? prompt.text : render(artifacts, prompt);
}

async function idsOf(
  artifacts: ModelArtifacts,
  prompt: TextPrompt,
  text: string | undefined,
  signal: AbortSignal,
): Promise<Uint32Array> {
  const { card, vocabulary } = artifacts;
  if ("ids" in prompt) {
    for (const id of prompt.ids) {
      if (id >= vocabulary.size)
        throw invalidParam(
          "prompt",
          `The prompt has token ${id}, but the vocabulary ends at ${vocabulary.size - 1}.`,
        );
    }
    return prompt.ids;
  }
  if (text === undefined) throw new TypeError("A prompt is messages, a text or token ids.");
  // Every token covers at most the longest token's bytes, and a UTF-16 unit is at least one byte.
  if (text.length > card.contextTokens * vocabulary.longestTokenBytes) {
    throw contextExceeded(card, prompt, `The prompt's ${text.length} characters cannot fit.`);
  }
  const ids = await artifacts.encode(text, signal);
  const { bos } = card.specialIds;
  if (card.addBos !== true || bos === undefined || ids[0] === bos) return ids;
  const withBos = new Uint32Array(ids.length + 1);
  withBos[0] = bos;
  withBos.set(ids, 1);
  return withBos;
}

function render(
  { card, template }: ModelArtifacts,
  prompt: Extract<TextPrompt, { messages: unknown }>,
): string {
  if (template === undefined) {
    throw invalidParam(
      "messages",
      `Model ${card.model} has no chat template. Use /v1/completions with a plain prompt.`,
    );
  }
  return template.render({
    messages: prompt.messages,
    ...(prompt.tools === undefined ? {} : { tools: prompt.tools }),
    ...(prompt.templateVariables === undefined ? {} : { variables: prompt.templateVariables }),
  });
}

function samplingOf({ generationDefaults: defaults }: ModelCard, request: TextRequest): Sampling {
  return {
    temperature: request.temperature ?? defaults?.temperature ?? 1,
    topP: request.topP ?? defaults?.topP ?? 1,
    topK: request.topK ?? defaults?.topK ?? 0,
    minP: request.minP ?? defaults?.minP ?? 0,
    seed: request.seed ?? randomSeed(),
    presencePenalty: request.presencePenalty ?? 0,
    frequencyPenalty: request.frequencyPenalty ?? 0,
    repetitionPenalty: request.repetitionPenalty ?? defaults?.repetitionPenalty ?? 1,
    ...(request.logitBias === undefined ? {} : { logitBias: request.logitBias }),
  };
}

function contextExceeded(card: ModelCard, prompt: TextPrompt, what: string): FrontendError {
  return new FrontendError({
    code: "FRONTEND_CONTEXT_EXCEEDED",
    kind: "invalid",
    message: `${what} The context of model ${card.model} holds ${card.contextTokens} tokens, prompt and output together. Shorten the prompt or max_tokens.`,
    data: { param: "messages" in prompt ? "messages" : "prompt" },
  });
}

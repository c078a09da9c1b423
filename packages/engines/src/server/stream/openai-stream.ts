import type { EventReader } from "./batch-stream.ts";
import { createEventTemplate, type EventTemplate } from "./event-template.ts";
import type { Finish, GenerateRequest, TokenBatch, TokenLogprob } from "@stator/core";
import { EnginesError } from "../../errors/engines-error.ts";
import { serverError } from "../http/server-errors.ts";

/** A chunk of a `/v1/completions` stream, or its whole answer: both have this shape. */
export interface CompletionChunk {
  readonly error?: { readonly message?: string; readonly code?: number | string } | string;
  readonly choices?: readonly CompletionChoice[];
  readonly usage?: { readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null } | null;
  readonly kv_transfer_params?: unknown;
}

export interface CompletionChoice {
  readonly text?: string;
  readonly token_ids?: readonly number[] | null;
  readonly finish_reason?: string | null;
  readonly stop_reason?: number | string | null;
  readonly logprobs?: {
    readonly tokens?: readonly string[];
    readonly token_logprobs?: readonly (number | null)[];
    readonly top_logprobs?: readonly (Readonly<Record<string, number>> | null)[] | null;
  } | null;
}

/** Throws the error that a chunk carries inside of a 200 stream. */
export function throwChunkError(server: string, chunk: CompletionChunk): void {
  const { error } = chunk;
  if (error === undefined || error === null) return;
  const code = typeof error === "object" ? Number(error.code ?? 500) : 500;
  throw serverError(server, Number.isFinite(code) ? code : 500, JSON.stringify({ error }));
}

/**
 * The ids of a choice's delta: `token_ids` where the server sends them, else the `token_id:N` strings of
 * `return_tokens_as_token_ids`; undefined when it sends neither.
 */
export function idsOfChoice(choice: CompletionChoice): readonly number[] | undefined {
  if (choice.token_ids !== undefined && choice.token_ids !== null) return choice.token_ids;
  const tokens = choice.logprobs?.tokens;
  if (tokens === undefined) return choice.text === "" || choice.text === undefined ? [] : undefined;
  const ids = tokens.map((token) =>
    token.startsWith("token_id:") ? Number(token.slice("token_id:".length)) : Number.NaN,
  );
  return ids.every(Number.isInteger) ? ids : undefined;
}

/** Log probabilities of a delta in our form; `token_id:N` keys tell the alternatives' ids. */
export function logprobsOfChoice(
  choice: CompletionChoice,
  count: number,
): readonly TokenLogprob[] | undefined {
  const { token_logprobs: own, top_logprobs: top } = choice.logprobs ?? {};
  if (own === undefined) return undefined;
  return Array.from({ length: count }, (_, i) => ({
    logprob: own[i] ?? 0,
    top: Object.entries(top?.[i] ?? {})
      .filter(([token]) => token.startsWith("token_id:"))
      .map(([token, logprob]) => ({ id: Number(token.slice("token_id:".length)), logprob }))
      .sort((a, b) => b.logprob - a.logprob),
  }));
}

/** Our finish for a server's `finish_reason`; `error` and `abort` throw, because another worker can go on. */
export function finishOf(
  server: string,
  choice: CompletionChoice,
  lastId: number | undefined,
): Finish | undefined {
  const { finish_reason: reason, stop_reason: stop } = choice;
  if (reason === undefined || reason === null || reason === "not_finished") return undefined;
  if (reason === "length") return { reason: "length" };
  // vLLM ends a degenerate text itself where its requests or its defaults ask for that.
  if (reason === "repetition") return { reason: "stop" };
  if (reason === "stop") {
    const stopId = typeof stop === "number" ? stop : lastId;
    return stopId === undefined ? { reason: "stop" } : { reason: "stop", stopId };
  }
  throw new EnginesError({
    code: "ENGINES_SERVER_FAILED",
    kind: "unavailable",
    message: `${server} ended the request with "${reason}".`,
    data: { server, finish: reason, observation: "cut" },
  });
}

/** Some servers cut the stop id off; it belongs to the output. */
export function withStopId(
  ids: readonly number[],
  lastId: number | undefined,
  finish: Finish | undefined,
): readonly number[] {
  return finish?.stopId === undefined || finish.stopId === lastId ? ids : [...ids, finish.stopId];
}

/** The sampling fields that all OpenAI-shaped engine servers name alike. */
export function samplingFields(request: GenerateRequest): Record<string, unknown> {
  const { sampling, limits } = request;
  return {
    temperature: sampling.temperature,
    top_p: sampling.topP,
    ...(sampling.topK > 0 ? { top_k: sampling.topK } : {}),
    ...(sampling.minP > 0 ? { min_p: sampling.minP } : {}),
    // Servers take signed 64-bit seeds.
    seed: BigInt.asIntN(64, sampling.seed),
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    ...(sampling.repetitionPenalty === 1 ? {} : { repetition_penalty: sampling.repetitionPenalty }),
    ...(sampling.logitBias === undefined ? {} : { logit_bias: Object.fromEntries(sampling.logitBias) }),
    ...(limits.ignoreEos === true ? { ignore_eos: true } : {}),
    ...(limits.stopIds === undefined ? {} : { stop_token_ids: limits.stopIds }),
    ...(limits.minTokens === undefined
      ? {}
      : { min_tokens: Math.max(0, limits.minTokens - request.outputIds.length) }),
  };
}

/** Prompt and output so far as one prompt: how servers resume that know no output of another. */
export function resumedPrompt({ promptIds, outputIds }: GenerateRequest): Uint32Array {
  if (outputIds.length === 0) return promptIds;
  const ids = new Uint32Array(promptIds.length + outputIds.length);
  ids.set(promptIds);
  ids.set(outputIds, promptIds.length);
  return ids;
}

/** What is left of the token budget. */
export function remainingTokens(request: GenerateRequest): number {
  return Math.max(1, request.limits.maxTokens - request.outputIds.length);
}

/** The shape of one server's plain chunks, for all of its requests. */
export const completionTemplate = (): EventTemplate =>
  createEventTemplate({ ids: "token_ids", passed: ["id", "created", "text"] });

/** Reads an OpenAI completion stream, from output index `request.outputIds.length` on. */
export function completionReader(
  server: string,
  request: GenerateRequest,
  template: EventTemplate,
): EventReader {
  const start = request.outputIds.length;
  let index = start;
  let lastId: number | undefined;
  let held: TokenBatch | undefined;
  const scan = (bytes: Buffer, from: number, to: number, ids: number[]): boolean => {
    const before = ids.length;
    if (!template.match(bytes, from, to, ids)) return false;
    if (ids.length > before) lastId = ids[ids.length - 1];
    index += ids.length - before;
    return true;
  };
  return {
    get index() {
      return index;
    },
    ...(request.topLogprobs === undefined ? { scan } : {}),
    read(event, bytes, from, to) {
      const chunk = event as CompletionChunk;
      throwChunkError(server, chunk);
      const cachedTokens = chunk.usage?.prompt_tokens_details?.cached_tokens;
      const choice = chunk.choices?.[0];
      if (choice === undefined) {
        // The usage chunk has no choice; it comes after the one with the finish reason, which waits for it.
        if (held !== undefined && cachedTokens !== undefined) held = { ...held, cachedTokens };
        return undefined;
      }
      const given = idsOfChoice(choice);
      if (given === undefined) throw new TokenIdsMissing();
      lastId = given.at(-1) ?? lastId;
      const finish = finishOf(server, choice, lastId);
      const ids = withStopId(given, lastId, finish);
      const logprobs = request.topLogprobs === undefined ? undefined : logprobsOfChoice(choice, ids.length);
      const firstIndex = index;
      index += ids.length;
      // Literals, not spreads: this is once per token.
      if (finish === undefined && logprobs === undefined && cachedTokens === undefined) {
        // The first one has the prompt with it.
        if (firstIndex > start && choice.token_ids !== undefined && choice.token_ids !== null)
          template.learn(bytes, from, to, choice.token_ids, undefined);
        return ids.length > 0 ? { firstIndex, ids } : undefined;
      }
      const batch: TokenBatch = {
        firstIndex,
        ids,
        ...(logprobs === undefined ? {} : { logprobs }),
        ...(cachedTokens === undefined ? {} : { cachedTokens }),
        ...(finish === undefined ? {} : { finish }),
      };
      if (finish === undefined) return batch;
      held = batch;
      return undefined;
    },
    end: () => held,
  };
}

/** The server sends text without ids: an older release, to be asked in another way. */
export class TokenIdsMissing extends Error {}

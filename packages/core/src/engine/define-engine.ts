import { cancelled } from "../errors/core-error.ts";
import type { Engine, GenerateOptions } from "./engine.ts";
import { contractVersion, hashSchemeXxh3, type ModelCard, type SpecialIds } from "./model-card.ts";
import type { GenerateRequest, TokenIds } from "./request.ts";
import type { Finish, TokenBatch, TokenLogprob } from "./token-batch.ts";

export interface DefineEngineOptions {
  readonly model: string;
  /** Prompt and output together, in tokens. */
  readonly contextTokens: number;
  /** A Hugging Face `tokenizer.json`, as text or bytes, with its special ids and chat template. */
  readonly tokenizer: TokenizerFile;
  /** Tokens in one KV block. Default 16. */
  readonly blockTokens?: number;
  /** Anything else that the card should say. */
  readonly card?: Partial<ModelCard>;
}

/** A tokenizer as an engine brings it along. */
export interface TokenizerFile {
  readonly json: string | Uint8Array;
  /** Names these bytes; SHA-256 hex by convention. */
  readonly digest: string;
  readonly specialIds: SpecialIds;
  readonly addBos?: boolean;
  readonly chatTemplate?: string;
}

/** What an engine function yields: ids, and at most once why it ended before the budget did. */
export interface EngineStep {
  readonly ids: TokenIds;
  readonly logprobs?: readonly TokenLogprob[];
  readonly cachedTokens?: number;
  readonly finish?: Finish;
}

/** A user's generation loop: yields ids from output index `request.outputIds.length` on. */
export type EngineFunction = (
  request: GenerateRequest,
  options: GenerateOptions,
) => AsyncIterable<EngineStep>;

/**
 * An engine out of a function. Indexes, the token budget, end-of-generation ids, `ignore_eos`, cancellation and the
 * final batch are kept for it; the function only yields ids.
 *
 * @example
 * const echo = defineEngine({ model: "echo", contextTokens: 4096, tokenizer }, async function* (request) {
 *   for (const id of request.promptIds) yield { ids: [id] };
 * });
 */
export function defineEngine(options: DefineEngineOptions, run: EngineFunction): Engine {
  const card: ModelCard = {
    model: options.model,
    tokenizer: { format: "hf-json", digest: options.tokenizer.digest },
    specialIds: options.tokenizer.specialIds,
    addBos: options.tokenizer.addBos ?? false,
    ...(options.tokenizer.chatTemplate === undefined ? {} : { chatTemplate: options.tokenizer.chatTemplate }),
    contextTokens: options.contextTokens,
    blockTokens: options.blockTokens ?? 16,
    hashScheme: hashSchemeXxh3,
    weightsDigest: options.model,
    kvLayoutDigest: options.model,
    kvGroups: [{ kind: "full_attention" }],
    connectors: [],
    resume: { rng: false, penalties: false, grammar: false, logprobs: false },
    batchInvariant: false,
    tasks: options.tokenizer.chatTemplate === undefined ? ["completion"] : ["chat", "completion"],
    adapters: [],
    contract: { min: 1, max: contractVersion },
    ...options.card,
  };
  const bytes =
    typeof options.tokenizer.json === "string"
      ? new TextEncoder().encode(options.tokenizer.json)
      : options.tokenizer.json;

  return {
    card,
    generate: (request, generateOptions) => generate(card, run, request, generateOptions),
    artifact: (digest) =>
      digest === options.tokenizer.digest
        ? Promise.resolve(bytes)
        : Promise.reject(new Error(`Engine ${options.model} has no artefact ${digest}.`)),
  };
}

async function* generate(
  card: ModelCard,
  run: EngineFunction,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncGenerator<TokenBatch> {
  const { signal } = options;
  const ends = new Set([
    ...(request.limits.ignoreEos === true ? [] : card.specialIds.eos),
    ...(request.limits.stopIds ?? []),
  ]);
  const minTokens = request.limits.minTokens ?? 0;
  const room = card.contextTokens - request.promptIds.length;
  const maxTokens = Math.min(request.limits.maxTokens, room);
  let index = request.outputIds.length;
  if (signal.aborted) throw cancelled(signal);

  for await (const step of run(request, options)) {
    if (signal.aborted) throw cancelled(signal);
    let take = Math.min(step.ids.length, Math.max(0, maxTokens - index));
    let finish: Finish | undefined;
    for (let i = 0; i < take; i++) {
      const id = step.ids[i]!;
      if (index + i + 1 >= minTokens && ends.has(id)) {
        take = i + 1;
        finish = { reason: "stop", stopId: id };
      }
    }
    finish ??= index + take >= maxTokens ? { reason: "length" } : step.finish;
    yield {
      firstIndex: index,
      ids: take === step.ids.length ? step.ids : step.ids.slice(0, take),
      ...(step.logprobs === undefined ? {} : { logprobs: step.logprobs.slice(0, take) }),
      ...(step.cachedTokens === undefined ? {} : { cachedTokens: step.cachedTokens }),
      ...(finish === undefined ? {} : { finish }),
    };
    index += take;
    if (finish !== undefined) return;
  }
  if (signal.aborted) throw cancelled(signal);
  yield { firstIndex: index, ids: [], finish: { reason: "stop" } };
}

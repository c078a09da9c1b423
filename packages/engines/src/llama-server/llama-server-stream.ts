import type { Finish, GenerateRequest, TokenBatch, TokenLogprob } from "@stator/core";
import { throwChunkError } from "../server/stream/openai-stream.ts";

interface Probability {
  readonly id: number;
  readonly logprob: number;
  readonly top_logprobs?: readonly { readonly id: number; readonly logprob: number }[];
}

/** A chunk of a `/completion` stream, or its whole answer. */
export interface LlamaServerChunk {
  readonly error?: { readonly message?: string; readonly code?: number | string } | string;
  readonly content?: string;
  readonly tokens?: readonly number[];
  readonly id_slot?: number;
  readonly stop?: boolean;
  readonly stop_type?: "eos" | "limit" | "word" | "none";
  readonly tokens_predicted?: number;
  readonly prompt_progress?: unknown;
  readonly completion_probabilities?: readonly Probability[];
  readonly timings?: { readonly cache_n?: number };
}

/** Ids that a stream left out: the text since the last id that was told, how many there are, and the id that ends them. */
export interface Gap {
  readonly text: string;
  readonly count: number;
  readonly lastId: number | undefined;
}

export interface LlamaServerReading {
  /** Ids of a gap by tokenizing its text; undefined when that does not give `count` ids that end with `lastId`. */
  fill(gap: Gap): Promise<readonly number[] | undefined>;
}

/** The stream left ids out and they could not be found: what is missing must be generated again, without streaming. */
export class IdsLost extends Error {}

/**
 * Batches of a `/completion` stream. The server streams no chunk for a token that leaves a character unfinished, and the
 * chunk that finishes it has only its own id; `tokens_predicted` shows what is missing. Progress events have a made-up id.
 *
 * Stop ids are ours to watch: the server knows stop strings only.
 */
export async function* batchesOfCompletion(
  server: string,
  request: GenerateRequest,
  chunks: AsyncIterable<unknown>,
  reading: LlamaServerReading,
): AsyncGenerator<TokenBatch> {
  const start = request.outputIds.length;
  let seen = 0;
  let lastId: number | undefined;
  let cachedTokens: number | undefined;
  for await (const raw of chunks) {
    const chunk = raw as LlamaServerChunk;
    throwChunkError(server, chunk);
    if (chunk.prompt_progress !== undefined) continue;
    cachedTokens ??= chunk.timings?.cache_n;
    const told = chunk.stop === true && seen > 0 ? [] : (chunk.tokens ?? []);
    const predicted = chunk.tokens_predicted ?? seen + told.length;
    let ids = told;
    if (predicted > seen + told.length) {
      const gap = { text: chunk.content ?? "", count: predicted - seen, lastId: told.at(-1) };
      const filled = await reading.fill(gap);
      if (filled === undefined) throw new IdsLost();
      ids = filled;
    }
    lastId = ids.at(-1) ?? lastId;
    const cut = cutAtStop(request, start + seen, ids);
    const finish = cut.finish ?? finishOfCompletion(chunk, lastId);
    const logprobs =
      request.topLogprobs === undefined ? undefined : logprobsOf(chunk, cut.ids.length, request.topLogprobs);
    if (cut.ids.length > 0 || finish !== undefined) {
      yield {
        firstIndex: start + seen,
        ids: cut.ids,
        ...(logprobs === undefined ? {} : { logprobs }),
        ...(cachedTokens === undefined || seen > 0 ? {} : { cachedTokens }),
        ...(finish === undefined ? {} : { finish }),
      };
    }
    seen += ids.length;
    if (finish !== undefined) return;
  }
}

function cutAtStop(
  { limits }: GenerateRequest,
  index: number,
  ids: readonly number[],
): { readonly ids: readonly number[]; readonly finish?: Finish } {
  const at = ids.findIndex(
    (id, i) => limits.stopIds?.includes(id) === true && index + i + 1 >= (limits.minTokens ?? 0),
  );
  if (at < 0) return { ids };
  return { ids: ids.slice(0, at + 1), finish: { reason: "stop", stopId: ids[at]! } };
}

function finishOfCompletion(chunk: LlamaServerChunk, lastId: number | undefined): Finish | undefined {
  if (chunk.stop !== true) return undefined;
  if (chunk.stop_type === "eos")
    return lastId === undefined ? { reason: "stop" } : { reason: "stop", stopId: lastId };
  return { reason: chunk.stop_type === "word" ? "stop" : "length" };
}

function logprobsOf(
  { completion_probabilities: given = [] }: LlamaServerChunk,
  count: number,
  alternatives: number,
): readonly TokenLogprob[] {
  // A gap has the probabilities of its last id only.
  const missing = count - Math.min(count, given.length);
  return Array.from({ length: count }, (_, i) => {
    const one = given[i - missing];
    const top = (one?.top_logprobs ?? []).slice(0, alternatives);
    return { logprob: one?.logprob ?? 0, top: top.map(({ id, logprob }) => ({ id, logprob })) };
  });
}

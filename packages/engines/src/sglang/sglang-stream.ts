import type { Finish, GenerateRequest, TokenLogprob } from "@stator/core";
import type { EventReader } from "../server/stream/batch-stream.ts";
import { createEventTemplate, type EventTemplate } from "../server/stream/event-template.ts";
import { EnginesError } from "../errors/engines-error.ts";
import { throwChunkError, withStopId } from "../server/stream/openai-stream.ts";
import { serverError } from "../server/http/server-errors.ts";

type Logprob = readonly [number | null, number, (string | null)?];

/** A chunk of a `/generate` stream, or its whole answer. */
export interface SglangChunk {
  readonly error?: { readonly message?: string; readonly code?: number | string } | string;
  readonly text?: string;
  readonly output_ids?: readonly number[];
  /** What early releases called `output_ids`. */
  readonly token_ids?: readonly number[];
  readonly meta_info?: {
    readonly finish_reason?: SglangFinish | null;
    readonly completion_tokens?: number;
    readonly cached_tokens?: number;
    readonly output_token_logprobs?: readonly Logprob[] | null;
    readonly output_top_logprobs?: readonly (readonly Logprob[] | null)[] | null;
  };
}

type SglangFinish =
  | { readonly type: "stop"; readonly matched?: number | string | null }
  | { readonly type: "length" }
  | { readonly type: "abort"; readonly message?: string; readonly status_code?: number | null };

/** The shape of one server's plain chunks, for all of its requests. */
export const generateTemplate = (): EventTemplate =>
  createEventTemplate({ ids: "output_ids", passed: ["text", "id"], count: "completion_tokens" });

/** Reads a `/generate` stream, both the cumulative form and the one of deltas. */
export function generateReader(
  server: string,
  request: GenerateRequest,
  template: EventTemplate,
): EventReader {
  const start = request.outputIds.length;
  let seen = 0;
  let lastId: number | undefined;
  let isFirst = true;
  const given: number[] = [];
  const scan = (bytes: Buffer, from: number, to: number, ids: number[]): boolean => {
    given.length = 0;
    if (isFirst || !template.match(bytes, from, to, given)) return false;
    const fresh = newOf(given, seen, template.count);
    for (const id of fresh) ids.push(id);
    lastId = fresh.at(-1) ?? lastId;
    seen += fresh.length;
    return true;
  };
  return {
    get index() {
      return start + seen;
    },
    ...(request.topLogprobs === undefined ? { scan } : {}),
    read(event, bytes, from, to) {
      const chunk = event as SglangChunk;
      throwChunkError(server, chunk);
      const told = chunk.output_ids ?? chunk.token_ids;
      const meta = chunk.meta_info ?? {};
      throwAbort(server, meta.finish_reason);
      if (told === undefined) {
        throw new EnginesError({
          code: "ENGINES_UNSUPPORTED",
          kind: "invalid",
          message: `${server} streams text without ids; use a release whose /generate has output_ids.`,
        });
      }
      const fresh = newOf(told, seen, meta.completion_tokens);
      lastId = fresh.at(-1) ?? lastId;
      const finish = finishOfGenerate(meta.finish_reason, lastId);
      const ids = withStopId(fresh, lastId, finish);
      const logprobs = request.topLogprobs === undefined ? undefined : logprobsOf(meta, seen, fresh.length);
      const firstIndex = start + seen;
      seen += fresh.length;
      if (ids.length === 0 && finish === undefined) return undefined;
      const cachedTokens = isFirst ? meta.cached_tokens : undefined;
      // The first one has times that later ones have not.
      const isLater = !isFirst;
      isFirst = false;
      if (isLater && chunk.output_ids !== undefined && finish === undefined && logprobs === undefined)
        template.learn(bytes, from, to, chunk.output_ids, meta.completion_tokens);
      return {
        firstIndex,
        ids,
        ...(logprobs === undefined ? {} : { logprobs }),
        ...(cachedTokens === undefined ? {} : { cachedTokens }),
        ...(finish === undefined ? {} : { finish }),
      };
    },
  };
}

/** Throws where a server gave a request up: another worker can go on, or the queue was full. */
export function throwAbort(server: string, reason: SglangFinish | null | undefined): void {
  if (reason?.type !== "abort") return;
  const status = reason.status_code ?? 500;
  const error = serverError(server, status, JSON.stringify({ message: reason.message ?? "aborted" }));
  throw error;
}

export function finishOfGenerate(
  reason: SglangFinish | null | undefined,
  lastId: number | undefined,
): Finish | undefined {
  if (reason === undefined || reason === null) return undefined;
  if (reason.type !== "stop") return { reason: "length" };
  const stopId = typeof reason.matched === "number" ? reason.matched : lastId;
  return stopId === undefined ? { reason: "stop" } : { reason: "stop", stopId };
}

/** `completion_tokens` tells the forms apart: all ids so far, or only those that are new. */
function newOf(
  ids: readonly number[],
  seen: number,
  completionTokens: number | undefined,
): readonly number[] {
  if (completionTokens === undefined) return ids.length > seen ? ids.slice(seen) : ids;
  if (ids.length === completionTokens) return ids.slice(seen);
  // A delta may be cut short of what is counted, never beyond.
  return ids.length <= completionTokens - seen ? ids : ids.slice(ids.length - (completionTokens - seen));
}

function logprobsOf(
  meta: NonNullable<SglangChunk["meta_info"]>,
  seen: number,
  count: number,
): readonly TokenLogprob[] {
  const { output_token_logprobs: own = [], output_top_logprobs: top = [] } = meta;
  const offset = (own?.length ?? 0) > count ? seen : 0;
  return Array.from({ length: count }, (_, i) => ({
    logprob: own?.[offset + i]?.[0] ?? 0,
    top: (top?.[offset + i] ?? []).map(([logprob, id]) => ({ id, logprob: logprob ?? 0 })),
  }));
}

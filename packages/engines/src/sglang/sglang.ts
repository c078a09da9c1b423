import type { Connector, GenerateRequest, TokenBatch } from "@stator/core";
import { watchZmq } from "../kv-events/watch-zmq.ts";
import { EnginesError } from "../errors/engines-error.ts";
import { parseExactJson, stringifyExactJson } from "../server/http/exact-json.ts";
import { remainingTokens, resumedPrompt, throwChunkError } from "../server/stream/openai-stream.ts";
import type { ServerClient } from "../server/http/server-client.ts";
import type { ServerDriver, ServerFacts } from "../server/server-driver.ts";
import { createServerEngine, type ServerEngine, type ServerEngineOptions } from "../server/server-engine.ts";
import { sglangLoad } from "./sglang-load.ts";
import { vocabularyOfModel } from "../server/model-vocabulary.ts";
import { endedByStopIds } from "../server/stream/stop-ids.ts";
import { batchesOfEvents, mended, oneBatch } from "../server/stream/batch-stream.ts";
import { generateReader, generateTemplate, throwAbort, type SglangChunk } from "./sglang-stream.ts";

/** How SGLang hands KV over: both sides meet at prefill's bootstrap server. */
export interface SglangConnector {
  readonly name: "bootstrap";
  /** `--disaggregation-bootstrap-port` of a prefill server, default 8998, and the host by which decode servers reach it. */
  readonly host?: string;
  readonly port?: number;
}

export interface SglangOptions extends ServerEngineOptions {
  /** Default: none; the server prefills and decodes by itself. */
  readonly connector?: SglangConnector;
  /**
   * The engine's event feed, `tcp://host:port`, or `tcp://host:port?replay=port`; ranks at the ports after it. Needs the
   * package `zeromq`. Default: no events.
   */
  readonly kvEvents?: string;
}

const bootstrapPort = 8_998;

/**
 * A running SGLang server (0.4.10 and later) as an engine, over its `/generate`.
 *
 * Reads cumulative and delta streams, and errors inside of a 200 stream. Resumed requests carry prompt and output as one
 * prompt, so only greedy requests without penalties resume. Disaggregated, a room's residue picks prefill's rank.
 *
 * @example
 * const prefill = sglang({ url: "http://p:30000", connector: { name: "bootstrap", host: "p" } });
 */
export function sglang(options: SglangOptions): ServerEngine {
  return createServerEngine(sglangDriver(options), options);
}

function sglangDriver({ connector, url, kvEvents }: SglangOptions): ServerDriver {
  const template = generateTemplate();
  return {
    kind: "sglang",
    ...(kvEvents === undefined
      ? {}
      : { watchEvents: (_client, facts, sink) => watchZmq(kvEvents, facts, sink) }),
    resume: { rng: false, penalties: false, grammar: false, logprobs: true },
    grammars: ["jsonSchema", "regex", "ebnf"],
    connectors: connector === undefined ? [] : [connectorOf(connector, url)],
    // 0.5.23 takes such an id to its embedding table.
    diesOfUnknownIds: true,
    probe,
    load: sglangLoad,
    generate(client, request, _facts, signal) {
      const headers: Record<string, string> =
        request.traceparent === undefined ? {} : { traceparent: request.traceparent };
      const body = bodyOf(request);
      if (request.mode === "prefill") return oneBatch(() => prefill(client, request, body, signal, headers));
      const events = client.postEvents("/generate", { ...body, stream: true }, { signal, headers });
      const reader = generateReader(client.url, request, template);
      return mended(batchesOfEvents(client.url, events, reader, endedByStopIds(request)), (error) => {
        throw adapterMissing(request, error);
      });
    },
  };
}

interface ServerInfo {
  readonly page_size?: number;
  readonly max_total_num_tokens?: number;
  readonly max_req_input_len?: number;
  readonly max_running_requests?: number | null;
  readonly context_length?: number | null;
  readonly dp_size?: number;
  readonly kv_cache_dtype?: string;
  readonly served_model_name?: string;
  readonly model_path?: string;
  readonly vocab_size?: number | null;
}

async function probe(client: ServerClient, signal: AbortSignal): Promise<ServerFacts> {
  const models = (await client.getJson("/v1/models", signal)) as {
    data?: readonly { id: string; max_model_len?: number | null; parent?: string | null }[];
  };
  const info = (await client
    .getJson("/get_server_info", signal)
    .catch(() => client.getJson("/server_info", signal))
    .catch(() => ({}))) as ServerInfo;
  const [first] = models.data ?? [];
  const model = first?.id ?? info.served_model_name ?? info.model_path;
  if (model === undefined) {
    throw new EnginesError({
      code: "ENGINES_SERVER_FAILED",
      kind: "unavailable",
      message: `${client.url} lists no model.`,
    });
  }
  const blockTokens = info.page_size ?? 1;
  const ranks = info.dp_size ?? 1;
  const vocabulary = info.vocab_size ?? (await vocabularyOfModel(info.model_path ?? model));
  return {
    ...(vocabulary === undefined ? {} : { vocabulary }),
    model,
    contextTokens: contextOf(info, first?.max_model_len),
    blockTokens,
    kvBlocks: Math.floor((info.max_total_num_tokens ?? 0) / blockTokens) * ranks,
    ranks,
    adapters: (models.data ?? [])
      .filter(({ parent }) => parent !== undefined && parent !== null)
      .map(({ id }) => id),
    ...(typeof info.max_running_requests === "number" ? { sequences: info.max_running_requests } : {}),
    kvLayout: `sglang:${model}:${blockTokens}:${info.kv_cache_dtype ?? "auto"}`,
  };
}

/** A server keeps some positions to itself: the longest prompt it takes, and one token of output, is what can be used. */
function contextOf(info: ServerInfo, modelTokens: number | null | undefined): number {
  const told = modelTokens ?? info.context_length ?? undefined;
  if (info.max_req_input_len === undefined) return told ?? 4096;
  return Math.min(told ?? Infinity, info.max_req_input_len + 1);
}

/** Servers answer 400 to an adapter that they do not have; the caller is told what is missing. */
function adapterMissing(request: GenerateRequest, error: unknown): unknown {
  if (request.adapter === undefined || !EnginesError.isInstance(error)) return error;
  if (error.code !== "ENGINES_SERVER_REFUSED" || !/lora/i.test(error.message)) return error;
  return new EnginesError({
    code: "ENGINES_SERVER_REFUSED",
    kind: "notFound",
    message: error.message,
    cause: error,
    data: error.data ?? {},
  });
}

function bodyOf(request: GenerateRequest): Record<string, unknown> {
  const { sampling, limits, handoff, topLogprobs, grammar } = request;
  const rank = request.hints?.pin?.rank;
  return {
    input_ids: resumedPrompt(request),
    // Never one that was used before: servers refuse it until the abort of the other has gone through, and an abort ends both.
    rid: `${request.id}-${request.choice}-${request.attempt}-${crypto.randomUUID()}`,
    sampling_params: {
      max_new_tokens: remainingTokens(request),
      temperature: sampling.temperature,
      top_p: sampling.topP,
      top_k: sampling.topK > 0 ? sampling.topK : -1,
      min_p: sampling.minP,
      presence_penalty: sampling.presencePenalty,
      frequency_penalty: sampling.frequencyPenalty,
      repetition_penalty: sampling.repetitionPenalty,
      // Honoured with deterministic inference only; read as a signed 64-bit number.
      sampling_seed: BigInt.asIntN(64, sampling.seed),
      ...(sampling.logitBias === undefined ? {} : { logit_bias: Object.fromEntries(sampling.logitBias) }),
      ...(limits.ignoreEos === true ? { ignore_eos: true } : {}),
      ...(limits.stopIds === undefined ? {} : { stop_token_ids: limits.stopIds }),
      ...(limits.minTokens === undefined
        ? {}
        : { min_new_tokens: Math.max(0, limits.minTokens - request.outputIds.length) }),
      ...(grammar === undefined
        ? {}
        : { [grammar.kind === "jsonSchema" ? "json_schema" : grammar.kind]: grammar.source }),
    },
    ...(topLogprobs === undefined
      ? {}
      : { return_logprob: true, logprob_start_len: -1, top_logprobs_num: topLogprobs }),
    ...(request.adapter === undefined ? {} : { lora_path: request.adapter }),
    ...(request.priority === undefined ? {} : { priority: request.priority }),
    ...(request.tenantSalt === undefined
      ? {}
      : { cache_salt: request.tenantSalt, extra_key: request.tenantSalt }),
    // Disaggregated, the room's residue picks the rank on both sides.
    ...(handoff?.room === undefined && rank !== undefined ? { data_parallel_rank: rank } : {}),
    ...(handoff === undefined ? {} : meetingOf(request)),
  };
}

function meetingOf({ handoff }: GenerateRequest): Record<string, unknown> {
  const endpoint = parseExactJson(new TextDecoder().decode(handoff!.opaque)) as {
    bootstrap_host: string;
    bootstrap_port: number;
  };
  return { ...endpoint, bootstrap_room: handoff!.room };
}

/** Prefill's half: its answer tells only that the KV has left, or what went wrong. */
async function prefill(
  client: ServerClient,
  request: GenerateRequest,
  body: Record<string, unknown>,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>>,
): Promise<TokenBatch> {
  if (request.handoff?.room === undefined) {
    throw new EnginesError({
      code: "ENGINES_UNSUPPORTED",
      kind: "invalid",
      message: `${client.url} prefills for a decode server only: give sglang({ connector: { name: "bootstrap" } }) on both sides.`,
    });
  }
  const answer = (await client.postJson(
    "/generate",
    { ...body, stream: false },
    { signal, headers },
  )) as SglangChunk;
  throwChunkError(client.url, answer);
  throwAbort(client.url, answer.meta_info?.finish_reason);
  const cachedTokens = answer.meta_info?.cached_tokens;
  return {
    firstIndex: request.outputIds.length,
    ids: [],
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    finish: { reason: "length" },
  };
}

function connectorOf({ host, port = bootstrapPort }: SglangConnector, url: string): Connector {
  return {
    name: "sglang-bootstrap",
    style: "rendezvous",
    endpoint: new TextEncoder().encode(
      stringifyExactJson({ bootstrap_host: host ?? new URL(url).hostname, bootstrap_port: port }),
    ),
  };
}

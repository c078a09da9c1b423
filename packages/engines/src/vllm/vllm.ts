import type { Connector, EngineLoad, GenerateRequest, TokenBatch } from "@stator/core";
import { parseMetricsText, samplesOf } from "../server/metrics-text.ts";
import {
  completionReader,
  completionTemplate,
  remainingTokens,
  resumedPrompt,
  samplingFields,
  throwChunkError,
  TokenIdsMissing,
  type CompletionChunk,
} from "../server/stream/openai-stream.ts";
import { batchesOfEvents, mended, oneBatch, type BatchStream } from "../server/stream/batch-stream.ts";
import { parseExactJson, stringifyExactJson } from "../server/http/exact-json.ts";
import { createServerClient, type ServerClient } from "../server/http/server-client.ts";
import type { ServerDriver, ServerFacts, ServerLoad } from "../server/server-driver.ts";
import { createServerEngine, type ServerEngine, type ServerEngineOptions } from "../server/server-engine.ts";
import { watchZmq } from "../kv-events/watch-zmq.ts";
import { EnginesError } from "../errors/engines-error.ts";

/** How vLLM hands KV over; names of its connectors. */
export type VllmConnector =
  /**
   * `holdMs`: how long this server keeps KV for a decode that does not come, which shows as leaked blocks until then:
   * `VLLM_NIXL_ABORT_REQUEST_TIMEOUT`, or `kv_lease_duration` of newer releases (30 s). Default 480,000.
   */
  | { readonly name: "nixl"; readonly holdMs?: number }
  /**
   * `bootstrap`: `http://host:8998` of a prefill server; decode servers need none. `holdMs` as above:
   * `VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT`. Default 480,000.
   */
  | { readonly name: "mooncake"; readonly bootstrap?: string; readonly holdMs?: number }
  /** `kvAddress`: `ip:kv_port` of this server. */
  | { readonly name: "p2p-nccl"; readonly kvAddress: string };

export interface VllmOptions extends ServerEngineOptions {
  /** Default: none; the server prefills and decodes by itself. */
  readonly connector?: VllmConnector;
  /**
   * The engine's event feed, `tcp://host:port`, or `tcp://host:port?replay=port`; ranks at the ports after it. Needs the
   * package `zeromq`. Default: no events.
   */
  readonly kvEvents?: string;
}

/** `VLLM_NIXL_ABORT_REQUEST_TIMEOUT` and its Mooncake counterpart, where nothing else is said. */
const defaultHoldMs = 480_000;

/**
 * A running vLLM server (0.10 and later) as an engine.
 *
 * Token prompts go to `/v1/completions`; output ids come back as `token_ids`, or as `token_id:N` strings from releases
 * before 0.10.2. Resumed requests carry prompt and output as one prompt, so only greedy requests without penalties resume.
 *
 * @example
 * const pool = createPool({ workers: [vllm({ url: "http://a:8000" }), vllm({ url: "http://b:8000" })] });
 */
export function vllm(options: VllmOptions): ServerEngine {
  return createServerEngine(vllmDriver(options), options);
}

function vllmDriver({ connector, kvEvents }: VllmOptions): ServerDriver {
  // Learned from the first answer: whether this release sends `token_ids`.
  let sendsTokenIds = true;
  const template = completionTemplate();
  return {
    kind: "vllm",
    ...(kvEvents === undefined
      ? {}
      : { watchEvents: (_client, facts, sink) => watchZmq(kvEvents, facts, sink) }),
    resume: { rng: false, penalties: false, grammar: false, logprobs: true },
    grammars: ["jsonSchema", "regex", "ebnf"],
    connectors: connector === undefined ? [] : [connectorOf(connector)],
    // P2P-NCCL pushes, and holds nothing.
    ...(connector === undefined || connector.name === "p2p-nccl"
      ? {}
      : { holdMs: connector.holdMs ?? defaultHoldMs }),
    async probe(client, signal) {
      const facts = await probe(client, signal);
      if (connector?.name !== "mooncake" || connector.bootstrap === undefined) return facts;
      return { ...facts, connectors: [await askBootstrap(connector.bootstrap, signal)] };
    },
    load,
    generate(client, request, facts, signal) {
      const headers = headersOf(request, connector);
      // A prefill that would be the whole answer needs no other side.
      if (request.mode === "prefill" && (remainingTokens(request) > 1 || isRendezvous(connector)))
        return oneBatch(() => prefill(client, request, facts, connector, signal, headers));
      const attempt = (withTokenIds: boolean): BatchStream =>
        batchesOfEvents(
          client.url,
          client.postEvents("/v1/completions", bodyOf(request, facts, connector, withTokenIds), {
            signal,
            headers,
          }),
          completionReader(client.url, request, template),
        );
      const asked = sendsTokenIds;
      return mended(attempt(asked), (error) => {
        if (!(error instanceof TokenIdsMissing) || !asked) throw error;
        // Nothing was told yet: ids are missing from the first chunk on.
        sendsTokenIds = false;
        return attempt(false);
      });
    },
  };
}

async function probe(client: ServerClient, signal: AbortSignal): Promise<ServerFacts> {
  const models = (await client.getJson("/v1/models", signal)) as {
    data?: readonly { id: string; max_model_len?: number; parent?: string | null }[];
  };
  const [first] = models.data ?? [];
  if (first === undefined) {
    throw new EnginesError({
      code: "ENGINES_SERVER_FAILED",
      kind: "unavailable",
      message: `${client.url} lists no model.`,
    });
  }
  const metrics = parseMetricsText(await client.getText("/metrics", signal).catch(() => ""));
  const configs = samplesOf(metrics, "vllm:cache_config_info");
  const config = configs[0]?.labels ?? {};
  const ranks = new Set(configs.map(({ labels }) => labels["engine"] ?? "0")).size || 1;
  return {
    ranks,
    model: first.id,
    contextTokens: first.max_model_len ?? 4096,
    blockTokens: Number(config["block_size"] ?? 16) || 16,
    kvBlocks: configs.reduce((sum, { labels }) => sum + (Number(labels["num_gpu_blocks"] ?? 0) || 0), 0),
    adapters: (models.data ?? [])
      .filter(({ parent }) => parent !== undefined && parent !== null)
      .map(({ id }) => id),
    ...(config["cache_dtype"] === undefined
      ? {}
      : { kvLayout: `vllm:${first.id}:${config["block_size"]}:${config["cache_dtype"]}` }),
  };
}

async function load(client: ServerClient, facts: ServerFacts, signal: AbortSignal): Promise<ServerLoad> {
  const metrics = parseMetricsText(await client.getText("/metrics", signal));
  const ranks = facts.ranks ?? 1;
  const perRank = facts.kvBlocks / ranks;
  const of = (rank: number | undefined, ...names: readonly string[]): readonly number[] =>
    samplesOf(metrics, ...names)
      .filter(({ labels }) => rank === undefined || ranks === 1 || labels["engine"] === String(rank))
      .map(({ value }) => value);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const loadOf = (rank: number | undefined): EngineLoad => ({
    running: sum(of(rank, "vllm:num_requests_running")),
    waiting: sum(of(rank, "vllm:num_requests_waiting")),
    queuedPrefillTokens: 0,
    kvBlocksUsed: Math.round(
      sum(of(rank, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")) * perRank,
    ),
    kvBlocksTotal: rank === undefined ? facts.kvBlocks : perRank,
  });
  return {
    ...loadOf(undefined),
    ...(ranks > 1 ? { ranks: Array.from({ length: ranks }, (_, rank) => loadOf(rank)) } : {}),
  };
}

/** Newer releases read `structured_outputs`, older ones the `guided_` fields; each ignores the other's. */
function grammarFields({ grammar }: GenerateRequest): Record<string, unknown> {
  if (grammar === undefined) return {};
  const { kind, source } = grammar;
  const value = kind === "jsonSchema" ? (parseExactJson(source) as unknown) : source;
  const [now, before] = {
    jsonSchema: ["json", "guided_json"],
    regex: ["regex", "guided_regex"],
    ebnf: ["grammar", "guided_grammar"],
  }[kind] as [string, string];
  return { structured_outputs: { [now]: value }, [before]: value };
}

function isRendezvous(connector: VllmConnector | undefined): boolean {
  return connector !== undefined && connectorOf(connector).style === "rendezvous";
}

function bodyOf(
  request: GenerateRequest,
  facts: ServerFacts,
  connector: VllmConnector | undefined,
  sendsTokenIds: boolean,
): Record<string, unknown> {
  const { topLogprobs } = request;
  return {
    model: request.adapter ?? facts.model,
    prompt: resumedPrompt(request),
    max_tokens: remainingTokens(request),
    stream: true,
    stream_options: { include_usage: true },
    add_special_tokens: false,
    ...samplingFields(request),
    ...(sendsTokenIds ? { return_token_ids: true } : {}),
    ...(topLogprobs !== undefined || !sendsTokenIds
      ? { logprobs: topLogprobs ?? 0, return_tokens_as_token_ids: true }
      : {}),
    ...grammarFields(request),
    ...(request.priority === undefined ? {} : { priority: -request.priority }),
    ...(request.tenantSalt === undefined ? {} : { cache_salt: request.tenantSalt }),
    ...(request.handoff === undefined ? {} : { kv_transfer_params: decodeParams(request, connector) }),
  };
}

/** The prefill half: one token that is thrown away, and the parameters that decode must pass on as they are. */
async function prefill(
  client: ServerClient,
  request: GenerateRequest,
  facts: ServerFacts,
  connector: VllmConnector | undefined,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>>,
): Promise<TokenBatch> {
  if (connector === undefined) {
    throw new EnginesError({
      code: "ENGINES_UNSUPPORTED",
      kind: "invalid",
      message: `${client.url} has no KV connector; give vllm({ connector }) to use it for prefill.`,
    });
  }
  const { handoff: _offer, ...plain } = request;
  const {
    stream: _stream,
    stream_options: _options,
    min_tokens: _minimum,
    ...body
  } = bodyOf(plain, facts, undefined, true);
  const answer = (await client.postJson(
    "/v1/completions",
    {
      ...body,
      max_tokens: 1,
      stream: false,
      kv_transfer_params: prefillParams(request, connector),
    },
    { signal, headers },
  )) as CompletionChunk;
  throwChunkError(client.url, answer);
  const cachedTokens = answer.usage?.prompt_tokens_details?.cached_tokens;
  const params = connector.name === "nixl" ? answer.kv_transfer_params : {};
  const addressed =
    connector.name === "p2p-nccl" ? new TextEncoder().encode(headers["x-request-id"]) : undefined;
  if (params === undefined || params === null) {
    throw new EnginesError({
      code: "ENGINES_HANDOFF_FAILED",
      kind: "unavailable",
      message: `${client.url} answered prefill without kv_transfer_params; start it with --kv-transfer-config and a NixlConnector.`,
    });
  }
  return {
    firstIndex: request.outputIds.length,
    ids: [],
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    handoff: {
      connector: `vllm-${connector.name}`,
      style: connectorOf(connector).style,
      opaque: addressed ?? request.handoff?.opaque ?? new TextEncoder().encode(stringifyExactJson(params)),
      ...(request.handoff?.room === undefined ? {} : { room: request.handoff.room }),
      heldTokens: request.promptIds.length + request.outputIds.length,
      firstIds: [],
      firstEmittedBy: "nobody",
      compatibilityDigest: "",
    },
  };
}

function prefillParams(
  request: GenerateRequest,
  connector: VllmConnector,
): Record<string, unknown> | undefined {
  if (connector.name === "p2p-nccl") return undefined;
  if (connector.name === "mooncake") {
    return {
      do_remote_decode: true,
      do_remote_prefill: false,
      transfer_id: String(request.handoff?.room ?? request.id),
    };
  }
  return {
    do_remote_decode: true,
    do_remote_prefill: false,
    remote_engine_id: null,
    remote_block_ids: null,
    remote_host: null,
    remote_port: null,
  };
}

function decodeParams(request: GenerateRequest, connector: VllmConnector | undefined): unknown {
  const handoff = request.handoff!;
  if (connector?.name === "p2p-nccl") return undefined;
  const told =
    handoff.opaque.length === 0
      ? {}
      : (parseExactJson(new TextDecoder().decode(handoff.opaque)) as Record<string, unknown>);
  if (connector?.name !== "mooncake") return told;
  const { remote_bootstrap_addr, engine_ids } = told as Partial<MooncakeEndpoint>;
  return {
    do_remote_decode: false,
    do_remote_prefill: true,
    remote_bootstrap_addr,
    remote_engine_id: engine_ids?.[String(handoff.source?.rank ?? 0)],
    transfer_id: String(handoff.room ?? request.id),
  };
}

function headersOf(request: GenerateRequest, connector: VllmConnector | undefined): Record<string, string> {
  // Early releases refuse an id that still runs, so that a retry here must not say it again.
  const base = `${request.id}-${request.choice}-${request.attempt}-${crypto.randomUUID().slice(0, 8)}`;
  const rank =
    request.hints?.pin?.rank ?? (request.mode === "prefill" ? request.handoff?.source?.rank : undefined);
  const trace = request.traceparent === undefined ? {} : { traceparent: request.traceparent };
  const pinned = rank === undefined ? {} : { "x-data-parallel-rank": String(rank) };
  if (connector?.name !== "p2p-nccl" || request.handoff === undefined)
    return { "x-request-id": base, ...pinned, ...trace };
  // Addressing hides in the request id, which both sides must get alike.
  const text = new TextDecoder().decode(request.handoff.opaque);
  const id =
    request.mode === "prefill"
      ? `___prefill_addr_${connector.kvAddress}___decode_addr_${text}_${base}`
      : text;
  return { "x-request-id": id, ...pinned, ...trace };
}

/** What decode must know of a Mooncake prefill server. */
interface MooncakeEndpoint {
  readonly remote_bootstrap_addr: string | undefined;
  /** Engine ids by data-parallel rank. */
  readonly engine_ids: Readonly<Record<string, string>>;
}

function mooncakeConnector(endpoint: MooncakeEndpoint): Connector {
  return {
    name: "vllm-mooncake",
    style: "rendezvous",
    endpoint: new TextEncoder().encode(stringifyExactJson(endpoint)),
  };
}

/** Engine ids change with every start of the server: its bootstrap is asked each time that it is probed. */
async function askBootstrap(bootstrap: string, signal: AbortSignal): Promise<Connector> {
  const client = createServerClient({ url: bootstrap });
  const answer = (await client.getJson("/query", signal)) as Record<string, { engine_id?: string }>;
  const ids = Object.entries(answer).flatMap(([rank, { engine_id: id }]) =>
    id === undefined ? [] : [[rank, id] as const],
  );
  return mooncakeConnector({ remote_bootstrap_addr: bootstrap, engine_ids: Object.fromEntries(ids) });
}

function connectorOf(connector: VllmConnector): Connector {
  const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
  switch (connector.name) {
    case "nixl":
      return { name: "vllm-nixl", style: "sequential" };
    case "mooncake":
      return mooncakeConnector({ remote_bootstrap_addr: connector.bootstrap, engine_ids: {} });
    case "p2p-nccl":
      return { name: "vllm-p2p-nccl", style: "addressed", endpoint: encode(connector.kvAddress) };
  }
}

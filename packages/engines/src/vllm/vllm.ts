import type { Connector, EngineLoad, GenerateRequest, TokenBatch } from "@stator/core";
import { parseMetricsText, samplesOf, sumOf } from "../server/metrics-text.ts";
import {
  batchesOfStream,
  remainingTokens,
  resumedPrompt,
  samplingFields,
  throwChunkError,
  TokenIdsMissing,
  type CompletionChunk,
} from "../server/openai-stream.ts";
import { parseExactJson, stringifyExactJson } from "../server/exact-json.ts";
import type { ServerClient } from "../server/server-client.ts";
import {
  createServerEngine,
  type ServerDriver,
  type ServerEngine,
  type ServerEngineOptions,
  type ServerFacts,
} from "../server/server-engine.ts";
import { EnginesError } from "../errors/engines-error.ts";

/** How vLLM hands KV over; names of its connectors. */
export type VllmConnector =
  | { readonly name: "nixl" }
  /** `bootstrap`: `http://host:8998` of the prefill server; `engineId` of its data-parallel rank, from `<bootstrap>/query`. */
  | { readonly name: "mooncake"; readonly bootstrap?: string; readonly engineId?: string }
  /** `kvAddress`: `ip:kv_port` of this server. */
  | { readonly name: "p2p-nccl"; readonly kvAddress: string };

export interface VllmOptions extends ServerEngineOptions {
  /** Default: none; the server prefills and decodes by itself. */
  readonly connector?: VllmConnector;
}

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

function vllmDriver({ connector }: VllmOptions): ServerDriver {
  // Learned from the first answer: whether this release sends `token_ids`.
  let sendsTokenIds = true;
  return {
    kind: "vllm",
    resume: { rng: false, penalties: false, grammar: false, logprobs: true },
    connectors: connector === undefined ? [] : [connectorOf(connector)],
    probe,
    load,
    async *generate(client, request, facts, signal) {
      const headers = headersOf(request, connector);
      if (request.mode === "prefill") {
        yield await prefill(client, request, facts, connector, signal, headers);
        return;
      }
      const attempt = (): AsyncIterable<TokenBatch> =>
        batchesOfStream(
          client.url,
          request,
          client.postEvents("/v1/completions", bodyOf(request, facts, connector, sendsTokenIds), {
            signal,
            headers,
          }),
        );
      try {
        yield* attempt();
      } catch (error) {
        if (!(error instanceof TokenIdsMissing) || !sendsTokenIds) throw error;
        // Nothing was yielded yet: ids are missing from the first chunk on.
        sendsTokenIds = false;
        yield* attempt();
      }
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
  const config = samplesOf(metrics, "vllm:cache_config_info")[0]?.labels ?? {};
  return {
    model: first.id,
    contextTokens: first.max_model_len ?? 4096,
    blockTokens: Number(config["block_size"] ?? 16) || 16,
    kvBlocks: Number(config["num_gpu_blocks"] ?? 0) || 0,
    adapters: (models.data ?? [])
      .filter(({ parent }) => parent !== undefined && parent !== null)
      .map(({ id }) => id),
    ...(config["cache_dtype"] === undefined
      ? {}
      : { kvLayout: `vllm:${first.id}:${config["block_size"]}:${config["cache_dtype"]}` }),
  };
}

async function load(client: ServerClient, facts: ServerFacts, signal: AbortSignal): Promise<EngineLoad> {
  const metrics = parseMetricsText(await client.getText("/metrics", signal));
  const usage = samplesOf(metrics, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc");
  const mean = usage.length === 0 ? 0 : usage.reduce((sum, { value }) => sum + value, 0) / usage.length;
  return {
    running: sumOf(metrics, "vllm:num_requests_running") ?? 0,
    waiting: sumOf(metrics, "vllm:num_requests_waiting") ?? 0,
    queuedPrefillTokens: 0,
    kvBlocksUsed: Math.round(mean * facts.kvBlocks),
    kvBlocksTotal: facts.kvBlocks,
  };
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
  const {
    stream: _stream,
    stream_options: _options,
    min_tokens: _minimum,
    ...body
  } = bodyOf({ ...request, outputIds: new Uint32Array(0) }, facts, undefined, true);
  const answer = (await client.postJson(
    "/v1/completions",
    {
      ...body,
      prompt: [...request.promptIds],
      max_tokens: 1,
      stream: false,
      kv_transfer_params: prefillParams(request, connector),
    },
    { signal, headers },
  )) as CompletionChunk;
  throwChunkError(client.url, answer);
  const cachedTokens = answer.usage?.prompt_tokens_details?.cached_tokens;
  const params = connector.name === "nixl" ? answer.kv_transfer_params : {};
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
      opaque: request.handoff?.opaque ?? new TextEncoder().encode(stringifyExactJson(params)),
      ...(request.handoff?.room === undefined ? {} : { room: request.handoff.room }),
      heldTokens: request.promptIds.length,
      firstIds: [],
      firstEmittedBy: "nobody",
      compatibilityDigest: facts.kvLayout ?? `vllm:${facts.model}:${facts.blockTokens}`,
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
  return {
    do_remote_decode: false,
    do_remote_prefill: true,
    ...told,
    transfer_id: String(handoff.room ?? request.id),
  };
}

function headersOf(request: GenerateRequest, connector: VllmConnector | undefined): Record<string, string> {
  const base = `${request.id}-${request.choice}-${request.attempt}`;
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

function connectorOf(connector: VllmConnector): Connector {
  const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
  switch (connector.name) {
    case "nixl":
      return { name: "vllm-nixl", style: "sequential" };
    case "mooncake":
      return {
        name: "vllm-mooncake",
        style: "rendezvous",
        endpoint: encode(
          stringifyExactJson({
            remote_bootstrap_addr: connector.bootstrap,
            remote_engine_id: connector.engineId,
          }),
        ),
      };
    case "p2p-nccl":
      return { name: "vllm-p2p-nccl", style: "addressed", endpoint: encode(connector.kvAddress) };
  }
}

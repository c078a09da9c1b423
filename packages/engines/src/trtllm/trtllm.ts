import type { GenerateRequest, TokenBatch } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { parseExactJson } from "../server/http/exact-json.ts";
import {
  completionReader,
  completionTemplate,
  remainingTokens,
  resumedPrompt,
  samplingFields,
  throwChunkError,
  TokenIdsMissing,
} from "../server/stream/openai-stream.ts";
import { batchesOfEvents, mended, oneBatch } from "../server/stream/batch-stream.ts";
import type { ServerClient } from "../server/http/server-client.ts";
import type { ServerDriver, ServerFacts } from "../server/server-driver.ts";
import { createServerEngine, type ServerEngine, type ServerEngineOptions } from "../server/server-engine.ts";
import {
  batchOfContext,
  beforeFirstIds,
  generationFields,
  trtllmConnector,
  withoutSeen,
  type ContextAnswer,
} from "./disaggregated-params.ts";
import { pollEvents } from "./poll-events.ts";
import { createIterationStats, type IterationStats } from "./iteration-stats.ts";

/** How TensorRT-LLM hands KV over: a context server first, a generation server after it. */
export interface TrtllmConnector {
  readonly name: "context";
  /**
   * How long a context server keeps KV for a generation that does not come, which shows as leaked blocks until then:
   * `kv_transfer_timeout_ms` of its `cache_transceiver_config`. Default 60,000; releases without that setting keep it for ever.
   */
  readonly holdMs?: number;
}

export interface TrtllmOptions extends ServerEngineOptions {
  /** The server has a `cache_transceiver_config`: it can be the context or the generation side. Default: not. */
  readonly connector?: TrtllmConnector;
  /** Read its KV events, which nobody else may do. Needs `event_buffer_max_size` in its `kv_cache_config`. Default false. */
  readonly kvEvents?: boolean;
}

/** `tokens_per_block` of TensorRT-LLM where nothing else is said. */
const defaultBlockTokens = 32;
const defaultHoldMs = 60_000;

/**
 * A running `trtllm-serve` (1.0 and later, PyTorch backend) as an engine.
 *
 * Its `/metrics` is drained by whoever reads it: this engine must be the only reader. Context length is told by newer
 * releases only; otherwise give `card: { contextTokens }`. Resumed requests carry prompt and output as one prompt, so only
 * greedy requests without penalties resume.
 *
 * @example
 * const decode = trtllm({ url: "http://d:8000", connector: { name: "context" }, card: { contextTokens: 8192 } });
 */
export function trtllm(options: TrtllmOptions): ServerEngine {
  return createServerEngine(trtllmDriver(options), options);
}

function trtllmDriver({ connector, kvEvents, clock }: TrtllmOptions): ServerDriver {
  const stats = createIterationStats();
  const template = completionTemplate();
  return {
    kind: "trtllm",
    ...(kvEvents === true
      ? {
          watchEvents: (client, facts, sink) =>
            pollEvents(client, facts, sink, clock === undefined ? {} : { clock }),
        }
      : {}),
    resume: { rng: false, penalties: false, grammar: false, logprobs: true },
    grammars: ["jsonSchema", "regex", "ebnf"],
    connectors: connector === undefined ? [] : [{ name: trtllmConnector, style: "sequential" }],
    ...(connector === undefined ? {} : { holdMs: connector.holdMs ?? defaultHoldMs }),
    probe: (client, signal) => probe(client, stats, signal),
    async load(client, _facts, signal) {
      await stats.refresh(client, signal);
      return stats.load();
    },
    generate(client, request, facts, signal) {
      const headers: Record<string, string> =
        request.traceparent === undefined ? {} : { traceparent: request.traceparent };
      // A prefill that would be the whole answer needs no other side.
      if (request.mode === "prefill" && remainingTokens(request) > 1) {
        if (connector === undefined) {
          throw new EnginesError({
            code: "ENGINES_UNSUPPORTED",
            kind: "invalid",
            message: `${client.url} has no cache transceiver; give trtllm({ connector: { name: "context" } }) to use it for prefill.`,
          });
        }
        return oneBatch(() => prefill(client, request, facts, signal, headers));
      }
      const { handoff } = request;
      const asked = handoff === undefined ? request : beforeFirstIds(request, handoff);
      const told = handoff === undefined ? {} : generationFields(asked, handoff);
      const events = client.postEvents(
        "/v1/completions",
        { ...bodyOf(asked, facts), ...told },
        { signal, headers },
      );
      const start = request.outputIds.length;
      const reader = completionReader(client.url, asked, template);
      const batches = batchesOfEvents(client.url, events, reader, (batch) => withoutSeen(batch, start));
      return mended(batches, (error) => {
        if (!(error instanceof TokenIdsMissing)) throw error;
        throw new EnginesError({
          code: "ENGINES_UNSUPPORTED",
          kind: "invalid",
          message: `${client.url} streams text without token ids; use TensorRT-LLM 1.0 or later.`,
          cause: error,
        });
      });
    },
  };
}

async function prefill(
  client: ServerClient,
  request: GenerateRequest,
  facts: ServerFacts,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>>,
): Promise<TokenBatch> {
  const { stream: _stream, stream_options: _options, ...rest } = bodyOf(request, facts);
  const answer = (await client.postJson(
    "/v1/completions",
    { ...rest, stream: false, disaggregated_params: { request_type: "context_only" } },
    { signal, headers },
  )) as ContextAnswer;
  throwChunkError(client.url, answer);
  return batchOfContext(client.url, request, answer);
}

async function probe(client: ServerClient, stats: IterationStats, signal: AbortSignal): Promise<ServerFacts> {
  const models = (await client.getJson("/v1/models", signal)) as {
    data?: readonly { id: string; max_model_len?: number | null }[];
  };
  const [first] = models.data ?? [];
  if (first === undefined) {
    throw new EnginesError({
      code: "ENGINES_SERVER_FAILED",
      kind: "unavailable",
      message: `${client.url} lists no model.`,
    });
  }
  const info = (await client.getJson("/server_info", signal).catch(() => ({}))) as {
    max_seq_len?: number;
    max_batch_size?: number;
    kv_cache_config?: { dtype?: string; tokens_per_block?: number };
  };
  await stats.refresh(client, signal);
  const blockTokens =
    stats.last?.kvCacheStats?.tokensPerBlock ?? info.kv_cache_config?.tokens_per_block ?? defaultBlockTokens;
  const sequences = info.max_batch_size ?? stats.last?.maxNumActiveRequests;
  return {
    model: first.id,
    contextTokens: info.max_seq_len ?? first.max_model_len ?? 8192,
    blockTokens,
    kvBlocks: stats.last?.kvCacheStats?.maxNumBlocks ?? 0,
    adapters: [],
    ...(sequences === undefined ? {} : { sequences }),
    kvLayout: `trtllm:${first.id}:${blockTokens}:${info.kv_cache_config?.dtype ?? "auto"}`,
  };
}

function bodyOf(request: GenerateRequest, facts: ServerFacts): Record<string, unknown> {
  const { topLogprobs, grammar, adapter } = request;
  return {
    model: adapter ?? facts.model,
    prompt: resumedPrompt(request),
    max_tokens: remainingTokens(request),
    stream: true,
    stream_options: { include_usage: true },
    detokenize: false,
    add_special_tokens: false,
    ...samplingFields(request),
    ...(topLogprobs === undefined ? {} : { logprobs: topLogprobs }),
    ...(grammar === undefined ? {} : { response_format: formatOf(grammar) }),
    ...(request.tenantSalt === undefined ? {} : { cache_salt: request.tenantSalt }),
  };
}

function formatOf({ kind, source }: NonNullable<GenerateRequest["grammar"]>): Record<string, unknown> {
  if (kind === "jsonSchema") return { type: "json", schema: parseExactJson(source) };
  return kind === "regex" ? { type: "regex", regex: source } : { type: "ebnf", ebnf: source };
}

import type { GenerateRequest, Handoff, TokenBatch } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { parseExactJson } from "../server/http/exact-json.ts";
import { parseMetricsText, sumOf } from "../server/metrics-text.ts";
import { remainingTokens, resumedPrompt } from "../server/stream/openai-stream.ts";
import { eachEvent } from "../server/stream/event-source.ts";
import type { ServerClient } from "../server/http/server-client.ts";
import type { ServerDriver, ServerFacts, ServerLoad } from "../server/server-driver.ts";
import { createServerEngine, type ServerEngine, type ServerEngineOptions } from "../server/server-engine.ts";
import { batchesOfCompletion, IdsLost, type LlamaServerReading } from "./llama-server-stream.ts";
import { createSlotFiles, type SlotFiles } from "./slot-files.ts";

/** How llama-server hands KV over: a slot's state as a file that both servers see. */
export interface LlamaServerConnector {
  readonly name: "slot-files";
  /** `--slot-save-path` of both servers. Files are named by us and removed when the handoff ends. */
  readonly folder: string;
  /** How long a file waits for the decode server without renewal, ms. Default 30,000. */
  readonly leaseMs?: number;
}

export interface LlamaServerOptions extends ServerEngineOptions {
  /** Default: none; the server prefills and decodes by itself. */
  readonly connector?: LlamaServerConnector;
}

/** llama.cpp counts KV in tokens: this is only how we name blocks. */
const blockTokens = 16;

/**
 * A running llama-server (llama.cpp) as an engine, over its `/completion`.
 *
 * `min_tokens` and regular expressions are refused, because the server has neither. Penalties count prompt and output alike,
 * so a resumed request has the same ones; its random numbers start anew.
 *
 * @example
 * const engine = llamaServer({ url: "http://127.0.0.1:8080", tokenizerPath: "model.gguf" });
 */
export function llamaServer(options: LlamaServerOptions): ServerEngine {
  return createServerEngine(llamaServerDriver(options), options);
}

/** What the server's answers taught us of its release. */
interface Habits {
  sendsParser: boolean;
}

/**
 * llama.cpp of 2026 parses every output as a chat message, even on `/completion`: the whole text again with each token, and
 * bytes that are no UTF-8 fail the request. A parser that takes nothing does neither; other releases ignore the field.
 */
const emptyParser = JSON.stringify({ parsers: [{ type: "epsilon" }], rules: {}, root: 0 });

function isAboutParser(error: unknown): boolean {
  return (
    EnginesError.isInstance(error) && error.code === "ENGINES_SERVER_REFUSED" && /pars/i.test(error.message)
  );
}

function llamaServerDriver({ connector, clock }: LlamaServerOptions): ServerDriver {
  const slotFiles =
    connector === undefined
      ? undefined
      : createSlotFiles({ ...connector, ...(clock === undefined ? {} : { clock }) });
  const habits: Habits = { sendsParser: true };
  const run = async function* (
    client: ServerClient,
    request: GenerateRequest,
    facts: ServerFacts,
    signal: AbortSignal,
  ): AsyncGenerator<TokenBatch> {
    if (request.mode === "prefill" && remainingTokens(request) > 1) {
      yield await prefill(client, request, facts, slotFiles, habits, signal);
      return;
    }
    if (request.handoff === undefined || slotFiles === undefined) {
      yield* complete(client, request, undefined, habits, signal);
      return;
    }
    const slot = slotFiles.take(facts.sequences ?? 1);
    try {
      await slotFiles.restore(client, slot.id, new TextDecoder().decode(request.handoff.opaque), signal);
      yield* complete(client, request, slot.id, habits, signal);
    } finally {
      slot.free();
    }
  };

  return {
    kind: "llama-server",
    resume: { rng: false, penalties: true, grammar: false, logprobs: true },
    grammars: ["jsonSchema", "ebnf"],
    connectors: connector === undefined ? [] : [{ name: "llama-slot-files", style: "sequential" }],
    probe,
    load,
    async *generate(client, request, facts, signal) {
      check(client.url, request, facts);
      try {
        yield* run(client, request, facts, signal);
      } catch (error) {
        if (!habits.sendsParser || !isAboutParser(error)) throw error;
        // Refused before anything was yielded.
        habits.sendsParser = false;
        yield* run(client, request, facts, signal);
      }
    },
    ...(slotFiles === undefined
      ? {}
      : {
          renewHandoff: (handoff: Handoff) => slotFiles.renew(handoff),
          releaseHandoff: (handoff: Handoff) => slotFiles.release(handoff),
          close: () => slotFiles.close(),
        }),
  };
}

async function probe(client: ServerClient, signal: AbortSignal): Promise<ServerFacts> {
  const props = (await client.getJson("/props", signal)) as {
    default_generation_settings?: { n_ctx?: number };
    total_slots?: number;
    chat_template?: string;
    model_path?: string;
    model_alias?: string;
  };
  const models = (await client.getJson("/v1/models", signal)) as {
    data?: readonly { id: string; meta?: { n_params?: number; size?: number; n_vocab?: number } | null }[];
  };
  const [first] = models.data ?? [];
  const model = first?.id ?? props.model_alias ?? props.model_path ?? "model";
  const sequences = props.total_slots ?? 1;
  const contextTokens = props.default_generation_settings?.n_ctx ?? 4096;
  const { n_params = 0, size = 0, n_vocab: vocabulary } = first?.meta ?? {};
  return {
    ...(vocabulary === undefined ? {} : { vocabulary }),
    model,
    contextTokens,
    blockTokens,
    kvBlocks: Math.floor((contextTokens * sequences) / blockTokens),
    adapters: [],
    sequences,
    weights: `llama-server:${model}:${n_params}:${size}`,
    // State files fit servers with the same number of slots only.
    kvLayout: `llama-server:${model}:${n_params}:${size}:${sequences}`,
    ...(props.chat_template === undefined || props.chat_template === ""
      ? {}
      : { chatTemplate: props.chat_template }),
  };
}

interface Slot {
  readonly is_processing?: boolean;
  readonly n_ctx?: number;
  readonly next_token?: { readonly n_decoded?: number } | readonly { readonly n_decoded?: number }[];
}

/** Running and waiting from `/metrics` where the server has them, else running slots from `/slots`. */
async function load(client: ServerClient, facts: ServerFacts, signal: AbortSignal): Promise<ServerLoad> {
  const unlessGone =
    <T>(fallback: T) =>
    (error: unknown): T => {
      if (EnginesError.isInstance(error) && error.code === "ENGINES_SERVER_UNREACHABLE") throw error;
      return fallback;
    };
  const metrics = parseMetricsText(await client.getText("/metrics", signal).catch(unlessGone("")));
  const slots = (await client.getJson("/slots", signal).catch(unlessGone([]))) as readonly Slot[];
  const busy = slots.filter(({ is_processing: isProcessing }) => isProcessing === true).length;
  const running = sumOf(metrics, "llamacpp:requests_processing") ?? busy;
  return {
    running,
    waiting: sumOf(metrics, "llamacpp:requests_deferred") ?? 0,
    queuedPrefillTokens: 0,
    // The server tells no use of its KV; each running slot may fill its share.
    kvBlocksUsed: Math.min(facts.kvBlocks, Math.round((running * facts.kvBlocks) / (facts.sequences ?? 1))),
    kvBlocksTotal: facts.kvBlocks,
  };
}

function check(url: string, request: GenerateRequest, facts: ServerFacts): void {
  const refuse = (code: "ENGINES_ADAPTER_UNKNOWN" | "ENGINES_UNSUPPORTED", message: string): never => {
    throw new EnginesError({ code, kind: code === "ENGINES_UNSUPPORTED" ? "invalid" : "notFound", message });
  };
  const { adapter, grammar, limits, outputIds } = request;
  if (adapter !== undefined && !facts.adapters.includes(adapter))
    refuse("ENGINES_ADAPTER_UNKNOWN", `${url} has no adapter ${adapter}.`);
  if (grammar?.kind === "regex")
    refuse(
      "ENGINES_UNSUPPORTED",
      "llama-server constrains by JSON schema or GBNF, not by regular expressions.",
    );
  if (limits.ignoreEos !== true && (limits.minTokens ?? 0) > outputIds.length)
    refuse("ENGINES_UNSUPPORTED", "llama-server has no min_tokens.");
}

/** Runs the prompt on one slot, saves the slot, and tells where. The one token that comes out is thrown away. */
async function prefill(
  client: ServerClient,
  request: GenerateRequest,
  facts: ServerFacts,
  slotFiles: SlotFiles | undefined,
  habits: Habits,
  signal: AbortSignal,
): Promise<TokenBatch> {
  if (slotFiles === undefined) {
    throw new EnginesError({
      code: "ENGINES_UNSUPPORTED",
      kind: "invalid",
      message: `${client.url} has no connector; give llamaServer({ connector: { name: "slot-files", folder } }) to use it for prefill.`,
    });
  }
  const slot = slotFiles.take(facts.sequences ?? 1);
  try {
    const answer = (await client.postJson(
      "/completion",
      { ...bodyOf(request, habits), n_predict: 1, n_probs: 0, stream: false, id_slot: slot.id },
      { signal },
    )) as { timings?: { cache_n?: number } };
    const heldTokens = request.promptIds.length + request.outputIds.length;
    const { file, leaseMs } = await slotFiles.save(client, slot.id, heldTokens, signal);
    const cachedTokens = answer.timings?.cache_n;
    return {
      firstIndex: request.outputIds.length,
      ids: [],
      ...(cachedTokens === undefined ? {} : { cachedTokens }),
      handoff: {
        connector: "llama-slot-files",
        style: "sequential",
        opaque: new TextEncoder().encode(file),
        heldTokens,
        firstIds: [],
        firstEmittedBy: "nobody",
        compatibilityDigest: "",
        lease: { id: file, durationMs: leaseMs },
      },
    };
  } finally {
    slot.free();
  }
}

/** Streams; where the stream lost ids that its text does not give back, generates the rest at once. */
async function* complete(
  client: ServerClient,
  request: GenerateRequest,
  slot: number | undefined,
  habits: Habits,
  signal: AbortSignal,
): AsyncGenerator<TokenBatch> {
  const onSlot = slot === undefined ? {} : { id_slot: slot };
  const body = { ...bodyOf(request, habits), ...onSlot };
  const reading: LlamaServerReading = {
    async fill({ text, count, lastId }) {
      if (text === "" || request.topLogprobs !== undefined) return undefined;
      const { tokens } = (await client.postJson(
        "/tokenize",
        { content: text, add_special: false, parse_special: false },
        { signal },
      )) as { tokens: readonly number[] };
      return tokens.length === count && (lastId === undefined || tokens.at(-1) === lastId)
        ? tokens
        : undefined;
    },
  };
  const seen: number[] = [];
  try {
    const source = client.postEvents(
      "/completion",
      { ...body, stream: true, timings_per_token: true },
      { signal },
    );
    const events = eachEvent(source, parseExactJson);
    for await (const batch of batchesOfCompletion(client.url, request, events, reading)) {
      seen.push(...batch.ids);
      yield batch;
    }
  } catch (error) {
    if (!(error instanceof IdsLost)) throw error;
    const rest = { ...request, outputIds: Uint32Array.from([...request.outputIds, ...seen]) };
    const whole = client.postJson(
      "/completion",
      { ...bodyOf(rest, habits), ...onSlot, stream: false },
      { signal },
    );
    const once = async function* (): AsyncGenerator<unknown> {
      yield await whole;
    };
    for await (const batch of batchesOfCompletion(client.url, rest, once(), reading)) {
      const { cachedTokens: _own, ...later } = batch;
      yield seen.length === 0 ? batch : later;
    }
  }
}

function bodyOf(request: GenerateRequest, { sendsParser }: Habits): Record<string, unknown> {
  const { sampling, limits, grammar, topLogprobs } = request;
  return {
    prompt: resumedPrompt(request),
    n_predict: remainingTokens(request),
    return_tokens: true,
    ...(sendsParser ? { chat_parser: emptyParser } : {}),
    cache_prompt: true,
    temperature: sampling.temperature,
    top_k: sampling.topK,
    top_p: sampling.topP,
    min_p: sampling.minP,
    typical_p: 1,
    // 32 bits, of which the highest value means "random".
    seed: Number(BigInt.asUintN(32, sampling.seed ^ (sampling.seed >> 32n))) % 0xffff_ffff,
    repeat_penalty: sampling.repetitionPenalty,
    // Newer releases refuse -1, which older ones take for all.
    repeat_last_n: request.promptIds.length + limits.maxTokens,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    ...(sampling.logitBias === undefined ? {} : { logit_bias: [...sampling.logitBias] }),
    ignore_eos: limits.ignoreEos === true,
    ...(topLogprobs === undefined ? {} : { n_probs: Math.max(1, topLogprobs) }),
    ...(grammar === undefined
      ? {}
      : grammar.kind === "jsonSchema"
        ? { json_schema: parseExactJson(grammar.source) }
        : { grammar: grammar.source }),
  };
}

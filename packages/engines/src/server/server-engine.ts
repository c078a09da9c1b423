import { readFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import {
  cancelled,
  contractVersion,
  hashSchemeXxh3,
  silentLogger,
  systemClock,
  type Clock,
  type Connector,
  type Engine,
  type EngineLoad,
  type EngineStatus,
  type GenerateOptions,
  type GenerateRequest,
  type KvEventBatch,
  type Logger,
  type ModelCard,
  type TokenBatch,
} from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { createServerClient, type ServerClient } from "./server-client.ts";

/** Options that every adapter of an engine server takes. */
export interface ServerEngineOptions {
  /** Base address of the server, `http://host:port`. */
  readonly url: string;
  /** Model name in requests to the server. Default: its first one. */
  readonly model?: string;
  readonly apiKey?: string;
  /** A Hugging Face `tokenizer.json`. Without it only token prompts can be served. */
  readonly tokenizerPath?: string;
  /** Overrides of what the server tells about itself, and what it does not tell. */
  readonly card?: Partial<ModelCard>;
  /** How often load and health are read, in ms. Default 1,000. */
  readonly pollMs?: number;
  /** Silence before the first token, and between tokens, after which a request failed here. Default 120,000 ms. */
  readonly silentMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** What a server says of itself. */
export interface ServerFacts {
  readonly model: string;
  readonly contextTokens: number;
  readonly blockTokens: number;
  readonly kvBlocks: number;
  readonly adapters: readonly string[];
  /** Part of the weights' identity, when the server tells. */
  readonly weights?: string;
  readonly kvLayout?: string;
}

/** One kind of server: its wire and its habits. */
export interface ServerDriver {
  readonly kind: string;
  /** What this kind carries over when it resumes. */
  readonly resume: ModelCard["resume"];
  readonly connectors: readonly Connector[];
  probe(client: ServerClient, signal: AbortSignal): Promise<ServerFacts>;
  load(client: ServerClient, facts: ServerFacts, signal: AbortSignal): Promise<EngineLoad>;
  generate(
    client: ServerClient,
    request: GenerateRequest,
    facts: ServerFacts,
    signal: AbortSignal,
  ): AsyncIterable<TokenBatch>;
  /** Starts reading KV events, if the kind has any; returns how to stop. */
  watchEvents?(facts: ServerFacts, onBatch: (batch: KvEventBatch) => void): () => void;
}

/** An engine behind an HTTP server. */
export interface ServerEngine extends Engine {
  /** Resolves with the card once the server answers. */
  ready(signal?: AbortSignal): Promise<ModelCard>;
  close(): Promise<void>;
}

const noLoad: EngineLoad = {
  running: 0,
  waiting: 0,
  queuedPrefillTokens: 0,
  kvBlocksUsed: 0,
  kvBlocksTotal: 0,
};

/**
 * An engine of a running server: the card is read from it, load and health are polled, requests are streamed. Steps are
 * counted from its streams: any batch is progress.
 */
export function createServerEngine(driver: ServerDriver, options: ServerEngineOptions): ServerEngine {
  const { pollMs = 1_000, silentMs = 120_000, clock = systemClock, logger = silentLogger } = options;
  const client = createServerClient(options);
  const closing = new AbortController();
  const listeners = new Set<(status: EngineStatus) => void>();
  const artifacts = new Map<string, Uint8Array>();
  let facts: ServerFacts | undefined;
  let card: ModelCard | undefined;
  let probing: Promise<ModelCard> | undefined;
  let load = noLoad;
  let step = 0;
  let own = 0;
  let stopEvents: (() => void) | undefined;
  let polling = false;

  const tell = (events?: readonly KvEventBatch[]): void => {
    if (listeners.size === 0) return;
    const current = { ...load, running: Math.max(load.running, own) };
    const status: EngineStatus = {
      step,
      stepAgeMs: 0,
      stepExpectedMs: 0,
      load: current,
      ...(events === undefined ? {} : { events }),
    };
    for (const listener of [...listeners]) listener(status);
  };

  const probe = async (): Promise<ModelCard> => {
    const found = await driver.probe(client, closing.signal);
    const tokenizer = await tokenizerOf(options, artifacts);
    facts = found;
    card = {
      model: options.model ?? found.model,
      tokenizer,
      specialIds: { eos: [] },
      contextTokens: found.contextTokens,
      blockTokens: found.blockTokens,
      hashScheme: hashSchemeXxh3,
      weightsDigest: found.weights ?? `${driver.kind}:${found.model}`,
      kvLayoutDigest: found.kvLayout ?? `${driver.kind}:${found.model}:${found.blockTokens}`,
      kvGroups: [{ kind: "full_attention" }],
      connectors: driver.connectors,
      resume: driver.resume,
      batchInvariant: false,
      tasks: ["completion", "chat"],
      adapters: found.adapters,
      contract: { min: 1, max: contractVersion },
      ...options.card,
    };
    stopEvents = driver.watchEvents?.(found, (batch) => tell([batch]));
    logger.info("engine server found", {
      kind: driver.kind,
      url: options.url,
      model: card.model,
      contextTokens: card.contextTokens,
    });
    return card;
  };
  const ready = (): Promise<ModelCard> =>
    (probing ??= probe().catch((error: unknown) => {
      probing = undefined;
      throw error;
    }));

  const poll = async (): Promise<void> => {
    try {
      await ready();
      load = await driver.load(client, facts!, closing.signal);
      tell();
    } catch (error) {
      if (!closing.signal.aborted)
        logger.debug("an engine server did not answer", { url: options.url, error: String(error) });
    }
    if (!closing.signal.aborted && listeners.size > 0) clock.schedule(pollMs, () => void poll());
    else polling = false;
  };

  async function* generate(
    request: GenerateRequest,
    { signal }: GenerateOptions,
  ): AsyncGenerator<TokenBatch> {
    if (signal.aborted) throw cancelled(signal);
    await ready();
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    let silence = clock.schedule(silentMs, () => stop.abort());
    own += 1;
    let isFinished = false;
    try {
      for await (const batch of driver.generate(client, request, facts!, stop.signal)) {
        silence.cancel();
        silence = clock.schedule(silentMs, () => stop.abort());
        step += 1;
        isFinished ||=
          batch.finish !== undefined || (request.mode === "prefill" && batch.handoff !== undefined);
        yield batch;
        tell();
      }
      if (!isFinished) throw broken(options.url, "its stream ended without a finish reason");
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      if (stop.signal.aborted) throw broken(options.url, `it said nothing for ${silentMs} ms`);
      throw error;
    } finally {
      silence.cancel();
      signal.removeEventListener("abort", onAbort);
      stop.abort();
      own -= 1;
    }
  }

  return {
    get card() {
      return card;
    },
    ready: () => ready(),
    generate,
    onStatus(listener) {
      listeners.add(listener);
      if (!polling) {
        polling = true;
        void poll();
      }
      return () => listeners.delete(listener);
    },
    artifact(digest) {
      const bytes = artifacts.get(digest);
      if (bytes !== undefined) return Promise.resolve(bytes);
      return Promise.reject(
        new EnginesError({
          code: "ENGINES_ARTIFACT_UNKNOWN",
          kind: "notFound",
          message: `The adapter of ${options.url} has no tokenizer; give it tokenizerPath, the model's tokenizer.json. Token prompts work without it.`,
        }),
      );
    },
    async close() {
      closing.abort();
      listeners.clear();
      stopEvents?.();
      await Promise.resolve();
    },
  };
}

async function tokenizerOf(
  options: ServerEngineOptions,
  artifacts: Map<string, Uint8Array>,
): Promise<ModelCard["tokenizer"]> {
  if (options.tokenizerPath === undefined)
    return { format: "hf-json", digest: `none:${options.model ?? options.url}` };
  const bytes = await readFile(options.tokenizerPath).catch((cause: unknown) => {
    throw new EnginesError({
      code: "ENGINES_OPTION_INVALID",
      kind: "invalid",
      message: `tokenizerPath: cannot read ${options.tokenizerPath}: ${String(cause)}`,
      cause,
    });
  });
  const digest = createHash("sha256").update(bytes).digest("hex");
  artifacts.set(digest, bytes);
  return { format: "hf-json", digest };
}

function broken(url: string, what: string): EnginesError {
  return new EnginesError({
    code: "ENGINES_SERVER_FAILED",
    kind: "unavailable",
    message: `${url} failed: ${what}.`,
    data: { server: url, observation: "cut" },
  });
}

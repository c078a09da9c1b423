import {
  cancelled,
  silentLogger,
  systemClock,
  type Clock,
  type Engine,
  type EngineStatus,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type HandoffOutcome,
  type KvEvent,
  type KvEventBatch,
  type Logger,
  type ModelCard,
  type TokenBatch,
} from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { createServerClient } from "./http/server-client.ts";
import { createKvLedger, type KvLedger } from "./kv-ledger.ts";
import { runRequest, type RequestHost } from "./run-request.ts";
import { serverCard } from "./server-card.ts";
import type { EventWatch, ServerDriver, ServerFacts, ServerLoad } from "./server-driver.ts";
import { readTokenizerArtifact } from "./tokenizer-artifact.ts";

/** Options that every adapter of an engine server takes. */
export interface ServerEngineOptions {
  /** Base address of the server, `http://host:port`. */
  readonly url: string;
  /** Model name in requests to the server. Default: its first one. Another name for clients is `card: { model }`. */
  readonly model?: string;
  readonly apiKey?: string;
  /**
   * The model's `tokenizer.json` (with `tokenizer_config.json` beside it), or a GGUF file. Without it only token prompts can
   * be served.
   */
  readonly tokenizerPath?: string;
  /**
   * Ids are below it; greater ones are refused here. Default: what the tokenizer says, else the server, else the model's
   * `config.json` where this machine has it.
   */
  readonly vocabulary?: number;
  /** Overrides of what the server tells about itself, and what it does not tell. */
  readonly card?: Partial<ModelCard>;
  /** How often load and health are read, in ms. Default 1,000. */
  readonly pollMs?: number;
  /** Silence before the first token, and between tokens, after which a request failed here. Default 120,000 ms. */
  readonly silentMs?: number;
  /** Called once when the server has not been reachable for `goneAfterPolls` polls: a worker process may want to end then. */
  readonly onGone?: (error: Error) => void;
  /** Default 5. */
  readonly goneAfterPolls?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** An engine behind an HTTP server. */
export interface ServerEngine extends Engine {
  /** Resolves with the card once the server answers. */
  ready(signal?: AbortSignal): Promise<ModelCard>;
  /** What the server told of its size; undefined before `ready`. */
  readonly size: ServerSize | undefined;
  close(): Promise<void>;
}

/** What placement wants to know of a server. */
export interface ServerSize {
  /** Data-parallel ranks. */
  readonly ranks: number;
  readonly kvBlocks: number;
  /** Requests that run at once; undefined when the server does not say. */
  readonly sequences: number | undefined;
}

/** Between two words on progress while streams run, in ms. */
const tellMs = 50;

const noLoad: ServerLoad = {
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
  let vocabulary: number | undefined;
  let probing: Promise<ModelCard> | undefined;
  let load = noLoad;
  let step = 0;
  let own = 0;
  /** Of these, those that wait for their first token. */
  let mute = 0;
  let ledger: KvLedger | undefined;
  let watch: EventWatch | undefined;
  let sequence = 0n;
  let polling = false;
  let missed = 0;

  const batchOf = (events: readonly KvEvent[], isSnapshot = false): KvEventBatch => ({
    worker: options.url,
    epoch: "0",
    sequence,
    events,
    ...(isSnapshot ? { isSnapshot } : {}),
  });
  const onEvents = (events: readonly KvEvent[]): void => {
    if (events.length === 0) return;
    sequence += 1n;
    tell([batchOf(events)]);
  };
  let toldMs = clock.now();
  const tell = (events?: readonly KvEventBatch[]): void => {
    if (listeners.size === 0) return;
    toldMs = clock.now();
    const { ranks, ...sum } = ledger?.withLeaks(load) ?? load;
    const current = { ...sum, running: Math.max(sum.running, own) };
    const status: EngineStatus = {
      step,
      stepAgeMs: 0,
      // A prompt that is computed shows no steps: while the server answers, `silentMs` is the judge.
      stepExpectedMs: mute > 0 && missed === 0 ? silentMs : 0,
      load: current,
      ...(ranks === undefined || ranks.length < 2 ? {} : { ranks }),
      ...(events === undefined ? {} : { events }),
    };
    for (const listener of [...listeners]) listener(status);
  };

  const probe = async (): Promise<ModelCard> => {
    const told = await driver.probe(client, closing.signal);
    const found = options.model === undefined ? told : { ...told, model: options.model };
    const tokenizer =
      options.tokenizerPath === undefined ? undefined : await readTokenizerArtifact(options.tokenizerPath);
    if (tokenizer !== undefined) artifacts.set(tokenizer.digest, tokenizer.bytes);
    vocabulary = tokenizer?.vocabulary ?? options.vocabulary ?? found.vocabulary;
    if (vocabulary === undefined && driver.diesOfUnknownIds === true)
      logger.warn(
        "the vocabulary is unknown, and an id beyond it ends this server: give tokenizerPath or vocabulary",
        {
          url: options.url,
          model: found.model,
        },
      );
    facts = found;
    card = serverCard(driver, found, tokenizer, options.card);
    if (driver.holdMs !== undefined)
      ledger = createKvLedger({ clock, holdMs: driver.holdMs, blockTokens: card.blockTokens });
    if (!closing.signal.aborted) watch = driver.watchEvents?.(client, found, { onEvents, logger });
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
      const askedMs = clock.now();
      load = await driver.load(client, facts!, closing.signal);
      ledger?.observed(load, askedMs);
      missed = 0;
      tell();
    } catch (error) {
      if (!closing.signal.aborted) {
        logger.debug("an engine server did not answer", { url: options.url, error: String(error) });
        const isGone = EnginesError.isInstance(error) && error.code === "ENGINES_SERVER_UNREACHABLE";
        missed = isGone ? missed + 1 : 0;
        if (isGone) {
          ledger?.lost();
          tell();
        }
        if (isGone && missed === (options.goneAfterPolls ?? 5)) options.onGone?.(error);
      }
    }
    if (!closing.signal.aborted && listeners.size > 0) clock.schedule(pollMs, () => void poll());
    else polling = false;
  };

  const host: RequestHost = {
    url: options.url,
    clock,
    silentMs,
    ready,
    get vocabulary() {
      return vocabulary;
    },
    open: (request, signal) => driver.generate(client, request, facts!, signal)[Symbol.asyncIterator](),
    onStart() {
      own += 1;
      mute += 1;
    },
    onSpeaking: () => void (mute -= 1),
    onBatch(isFinished) {
      step += 1;
      if (isFinished || clock.now() - toldMs >= tellMs) tell();
    },
    onOffer: (handoff) => ledger?.offered(handoff),
    onOver(hasSpoken) {
      own -= 1;
      if (!hasSpoken) mute -= 1;
    },
  };
  const generate = (request: GenerateRequest, { signal }: GenerateOptions): AsyncIterable<TokenBatch> => ({
    [Symbol.asyncIterator]: () => runRequest(host, request, signal),
  });
  const releaseHandoff = (handoff: Handoff, outcome: HandoffOutcome): void => {
    driver.releaseHandoff?.(handoff);
    const before = ledger?.leakedBlocks;
    ledger?.settled(handoff, outcome);
    if (ledger?.leakedBlocks !== before) tell();
  };

  return {
    get card() {
      return card;
    },
    get size() {
      return (
        facts && {
          ranks: facts.ranks ?? 1,
          kvBlocks: facts.kvBlocks,
          sequences: facts.sequences ?? undefined,
        }
      );
    },
    async ready(signal) {
      if (signal === undefined) return ready();
      if (signal.aborted) throw cancelled(signal);
      let onAbort = (): void => {};
      const given = new Promise<never>((_, reject) => {
        onAbort = () => reject(cancelled(signal));
        signal.addEventListener("abort", onAbort, { once: true });
      });
      return Promise.race([ready(), given]).finally(() => signal.removeEventListener("abort", onAbort));
    },
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
    ...(driver.watchEvents === undefined ? {} : { snapshot: () => watch && batchOf(watch.snapshot(), true) }),
    ...(driver.releaseHandoff === undefined && driver.holdMs === undefined
      ? {}
      : { renewHandoff: (handoff: Handoff) => driver.renewHandoff?.(handoff), releaseHandoff }),
    async close() {
      closing.abort();
      listeners.clear();
      watch?.stop();
      driver.close?.();
      client.close();
      await Promise.resolve();
    },
  };
}

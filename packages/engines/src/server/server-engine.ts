import {
  cancelled,
  contractVersion,
  hashSchemeXxh3,
  silentLogger,
  systemClock,
  type Clock,
  type Engine,
  type EngineStatus,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type KvEvent,
  type KvEventBatch,
  type Logger,
  type ModelCard,
  type Timer,
  type TokenBatch,
} from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";
import { createServerClient } from "./server-client.ts";
import { endWithoutServer, failedHandoff, unmet } from "./request-rules.ts";
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

/** Why a request's own signal is aborted at its end; one for all, because a reason made anew costs its stack. */
const over = new Error("The request is over.");

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
    const { ranks, ...sum } = load;
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
    const chatTemplate = tokenizer?.card.chatTemplate ?? found.chatTemplate;
    facts = found;
    card = {
      model: found.model,
      tokenizer: { format: "hf-json", digest: tokenizer?.digest ?? `none:${found.model}` },
      specialIds: { eos: [] },
      ...tokenizer?.card,
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
      contextTokens: found.contextTokens,
      blockTokens: found.blockTokens,
      hashScheme: hashSchemeXxh3,
      weightsDigest: found.weights ?? `${driver.kind}:${found.model}`,
      kvLayoutDigest: found.kvLayout ?? `${driver.kind}:${found.model}:${found.blockTokens}`,
      kvGroups: [{ kind: "full_attention" }],
      connectors: found.connectors ?? driver.connectors,
      resume: driver.resume,
      grammars: driver.grammars,
      batchInvariant: false,
      tasks: ["completion", "chat"],
      adapters: found.adapters,
      contract: { min: 1, max: contractVersion },
      ...options.card,
    };
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
      load = await driver.load(client, facts!, closing.signal);
      missed = 0;
      tell();
    } catch (error) {
      if (!closing.signal.aborted) {
        logger.debug("an engine server did not answer", { url: options.url, error: String(error) });
        const isGone = EnginesError.isInstance(error) && error.code === "ENGINES_SERVER_UNREACHABLE";
        missed = isGone ? missed + 1 : 0;
        if (isGone) tell();
        if (isGone && missed === (options.goneAfterPolls ?? 5)) options.onGone?.(error);
      }
    }
    if (!closing.signal.aborted && listeners.size > 0) clock.schedule(pollMs, () => void poll());
    else polling = false;
  };

  /** One request, without a generator: this is on the way of every token. */
  const start = (asked: GenerateRequest, signal: AbortSignal): AsyncIterator<TokenBatch> => {
    const stop = new AbortController();
    let request = asked;
    let batches: AsyncIterator<TokenBatch> | undefined;
    let silence: Timer | undefined;
    let lastMs = 0;
    let isSilent = false;
    let isFinished = false;
    let isSpeaking = false;
    let isOver = false;

    const onAbort = (): void => stop.abort(signal.reason);
    const listen = (forMs: number): void => {
      silence = clock.schedule(forMs, () => {
        const leftMs = silentMs - (clock.now() - lastMs);
        if (leftMs > 0) return listen(leftMs);
        isSilent = true;
        stop.abort();
      });
    };
    const settle = (): void => {
      if (isOver) return;
      isOver = true;
      silence?.cancel();
      signal.removeEventListener("abort", onAbort);
      stop.abort(over);
      if (silence === undefined) return;
      own -= 1;
      if (!isSpeaking) mute -= 1;
    };
    const leave = (): void => void batches?.return?.().catch(() => {});
    const open = async (): Promise<IteratorResult<TokenBatch>> => {
      if (signal.aborted) throw cancelled(signal);
      await ready();
      if (isOver) return { done: true, value: undefined };
      const admitted = endWithoutServer(asked, options.url, card!, vocabulary);
      if (admitted.end !== undefined) {
        settle();
        return { done: false, value: admitted.end };
      }
      if (signal.aborted) throw cancelled(signal);
      request = admitted.request;
      signal.addEventListener("abort", onAbort, { once: true });
      lastMs = clock.now();
      listen(silentMs);
      own += 1;
      mute += 1;
      try {
        batches = driver.generate(client, request, facts!, stop.signal)[Symbol.asyncIterator]();
      } catch (error) {
        return onError(error);
      }
      return batches.next().then(onResult, onError);
    };
    const onError = (error: unknown): never => {
      settle();
      if (signal.aborted) throw cancelled(signal);
      if (isSilent && !isSpeaking && request.handoff !== undefined && request.mode !== "prefill")
        throw unmet(request, options.url, silentMs);
      if (isSilent) throw broken(options.url, `it said nothing for ${silentMs} ms`);
      throw isSpeaking ? error : failedHandoff(request, error);
    };
    const onResult = (result: IteratorResult<TokenBatch>): IteratorResult<TokenBatch> => {
      if (result.done === true) {
        if (!isFinished && !isOver)
          return onError(broken(options.url, "its stream ended without a finish reason"));
        settle();
        return result;
      }
      const batch = result.value;
      lastMs = clock.now();
      step += 1;
      if (!isSpeaking && batch.ids.length > 0) {
        isSpeaking = true;
        mute -= 1;
      }
      isFinished ||=
        batch.finish !== undefined || (request.mode === "prefill" && batch.handoff !== undefined);
      if (isFinished) {
        leave();
        settle();
        tell();
      } else if (lastMs - toldMs >= tellMs) tell();
      return batch.handoff === undefined
        ? result
        : {
            done: false,
            value: { ...batch, handoff: { ...batch.handoff, compatibilityDigest: card!.kvLayoutDigest } },
          };
    };

    return {
      next() {
        if (isOver) return Promise.resolve({ done: true, value: undefined });
        return batches === undefined ? open() : batches.next().then(onResult, onError);
      },
      return() {
        settle();
        leave();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  };
  const generate = (request: GenerateRequest, { signal }: GenerateOptions): AsyncIterable<TokenBatch> => ({
    [Symbol.asyncIterator]: () => start(request, signal),
  });

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
    ...(driver.releaseHandoff === undefined
      ? {}
      : {
          renewHandoff: (handoff: Handoff) => driver.renewHandoff?.(handoff),
          releaseHandoff: (handoff: Handoff) => driver.releaseHandoff?.(handoff),
        }),
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

function broken(url: string, what: string): EnginesError {
  return new EnginesError({
    code: "ENGINES_SERVER_FAILED",
    kind: "unavailable",
    message: `${url} failed: ${what}.`,
    data: { server: url, observation: "cut" },
  });
}

import {
  cancelled,
  noopMeter,
  silentLogger,
  systemClock,
  type Engine,
  type EngineStatus,
  type Finish,
  type GenerateOptions,
  type GenerateRequest,
} from "@stator/core";

import { createTierStore, createTransferEnds, hostTier } from "@stator/kv-transfer";

import { EnginesError } from "../errors/engines-error.ts";
import { queueFull } from "../errors/queue-full.ts";
import { heldOutputs } from "../handoff/held-outputs.ts";
import type { Transfer } from "../handoff/transfer.ts";
import { createOfferBook } from "../handoff/offer-book.ts";
import { createTokenOutput, type TokenOutput } from "../output/token-output.ts";
import { createSampler } from "../sampling/sampler.ts";
import { createBlockChain, type BlockChain } from "./kv/block-chain.ts";
import { createKvCache, type Slot } from "./kv/kv-cache.ts";
import { createKvExchange } from "./kv/kv-exchange.ts";
import { createKvPresence } from "./kv/kv-presence.ts";
import { loadModel } from "./model/llama-model.ts";
import { createEvaluateNext } from "./step/next-token.ts";
import { checkLlamaOptions, type LlamaEngineOptions } from "./options.ts";
import { refusal } from "./refusal.ts";
import { createSlotQueue } from "./slot-queue.ts";
import { createStateFolder } from "./kv/state-folder.ts";
import { createStepEstimate } from "./step/step-estimate.ts";

/** llama.cpp in this process, as an engine. */
export type LlamaEngine = Required<Engine>;

const heartbeatMs = 250;
const defaultHostBytes = 128 * 2 ** 20;

/** One request on its way. */
interface Job {
  readonly request: GenerateRequest;
  readonly output: TokenOutput;
  /** Prompt and output ids. */
  ids: number[];
  /** Ids whose KV is not computed yet; 0 once it decodes. */
  prefillTokens: number;
  /** Aborted by the caller, by its going away, or by `close`. */
  readonly stop: AbortController;
}

/**
 * Runs a GGUF with llama.cpp through `node-llama-cpp`, an optional peer, on the CPU of this process. KV of finished
 * requests is reused, leaves as checked blocks to other engines, and comes in the same way.
 *
 * @throws EnginesError `ENGINES_LLAMA_MISSING`, `ENGINES_MODEL_INVALID`, `ENGINES_OPTION_INVALID`
 * @example
 * const engine = await createLlamaEngine({ modelPath: tinyModelPath() });
 */
export async function createLlamaEngine(options: LlamaEngineOptions): Promise<LlamaEngine> {
  checkLlamaOptions(options);
  const {
    blockTokens = 16,
    batchTokens = 512,
    tiers = [hostTier({ budgetBytes: defaultHostBytes })],
    maxWaiting = 256,
    worker = "llama",
    epoch = "0",
    leaseMs = 10_000,
    onHandoffFailure = "fail",
    clock = systemClock,
    logger = silentLogger,
    meter = noopMeter,
  } = options;
  // What was opened, to be closed in the opposite order.
  const opened: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  const open = async <T>(opening: Promise<T>, close: (value: T) => Promise<void>): Promise<T> => {
    try {
      const value = await opening;
      opened.push(() => close(value));
      return value;
    } catch (error) {
      await closeAll();
      throw error;
    }
  };
  const transfer: Transfer =
    options.transfer ?? (await open(createTransferEnds({ logger }), (ends) => ends.close()));
  const folder = await open(createStateFolder(options.stateFolder), (value) => value.close());
  const model = await open(loadModel(options, folder), (value) => value.close());
  const { card, layout, limit, vocabularySize } = model;
  if (limit !== undefined) logger.warn(limit, { model: card.model });
  const presence = createKvPresence();
  const store =
    layout === undefined || tiers.length === 0
      ? undefined
      : await open(
          createTierStore({
            tiers,
            scope: `${card.weightsDigest} ${card.kvLayoutDigest}`,
            meter,
            onChange: ({ type, tier, name, parent }) =>
              type === "stored" ? presence.addOne(tier, name, parent) : presence.removeOne(tier, name),
          }),
          // The cache closes it.
          () => Promise.resolve(),
        );
  const cache = createKvCache({ sequences: model.sequences, card, layout, folder, store, presence, logger });
  opened.push(() => cache.close());
  const queue = createSlotQueue(cache.slotCount, maxWaiting);
  const offers = createOfferBook({ source: transfer.source, leaseMs, clock });
  const exchange = createKvExchange({
    cache,
    card,
    offers,
    sink: transfer.sink,
    blockBytes: (layout?.tokenBytes ?? 0) * blockTokens,
  });
  const estimate = createStepEstimate(clock);
  const listeners = new Set<(status: EngineStatus) => void>();
  const jobs = new Set<Job>();
  const endings = new Set<Promise<void>>();
  let eventSequence = 0n;
  let closed: EnginesError | undefined;
  let unfit: string | undefined;
  let heartbeat: ReturnType<typeof setInterval> | undefined;

  const queuedPrefillTokens = (): number =>
    [...jobs].reduce((sum, { prefillTokens }) => sum + prefillTokens, 0);
  const report = (): void => {
    const events = presence.drainEvents();
    if (events.length > 0) eventSequence++;
    if (listeners.size === 0) return;
    const usedTokens = [...jobs].reduce(
      (sum, job) => sum + (job.prefillTokens === 0 ? job.ids.length : 0),
      0,
    );
    const status: EngineStatus = {
      step: estimate.steps,
      stepAgeMs: estimate.ageMs(),
      stepExpectedMs: estimate.expectedMs,
      load: {
        running: queue.running,
        waiting: queue.waiting,
        queuedPrefillTokens: queuedPrefillTokens(),
        kvBlocksUsed: Math.ceil(usedTokens / blockTokens),
        kvBlocksTotal: Math.floor((cache.slotCount * card.contextTokens) / blockTokens),
      },
      ...(events.length === 0 ? {} : { events: [{ worker, epoch, sequence: eventSequence, events }] }),
      ...(unfit === undefined ? {} : { unfit }),
    };
    for (const listener of listeners) listener(status);
  };
  model.steps.onStep((tokens) => {
    estimate.begin(tokens);
    report();
  });

  const chainOf = (ids: ArrayLike<number>, { tenantSalt }: GenerateRequest): BlockChain =>
    createBlockChain(Uint32Array.from(ids), tenantSalt, card, blockTokens);

  /** Leading blocks of the prompt, if its handoff brings some. */
  const receive = async ({ request, ids, stop }: Job): Promise<Uint8Array[] | undefined> => {
    const { handoff, mode } = request;
    if (handoff === undefined || mode === "prefill") return undefined;
    try {
      return await exchange.receive(handoff, chainOf(ids, request), stop.signal);
    } catch (error) {
      if (stop.signal.aborted || onHandoffFailure === "fail") throw error;
      logger.warn("Handed-over KV could not be fetched; it is computed here", {
        request: request.id,
        error: String(error),
      });
      return undefined;
    }
  };

  const generateOn = async (job: Job, slot: Slot, cachedTokens: number): Promise<void> => {
    const { request, output, stop } = job;
    const { promptIds, limits, sampling, topLogprobs, mode } = request;
    const ends = new Set([
      ...(limits.ignoreEos === true ? [] : card.specialIds.eos),
      ...(limits.stopIds ?? []),
    ]);
    const most = Math.min(limits.maxTokens, card.contextTokens - promptIds.length);
    const outputIds = Uint32Array.from(job.ids.slice(promptIds.length));
    const evaluateNext = createEvaluateNext({
      vocabularySize,
      topLogprobs,
      isExact: model.isExact,
      hasBias: sampling.logitBias !== undefined,
      sampler: createSampler({ request: { ...request, outputIds }, endIds: card.specialIds.eos }),
    });
    output.cached(Math.min(cachedTokens, promptIds.length));
    let at = cachedTokens;
    job.prefillTokens = job.ids.length - at;
    // In chunks, because an abort takes effect only between evaluations.
    for (let chunk = estimate.chunkTokens(batchTokens); job.ids.length - at > chunk;) {
      const ids = job.ids.slice(at, at + chunk);
      await slot.sequence.controlledEvaluate(ids as Parameters<typeof slot.sequence.controlledEvaluate>[0]);
      estimate.end();
      at += chunk;
      job.prefillTokens = job.ids.length - at;
      if (stop.signal.aborted) return;
      chunk = estimate.chunkTokens(batchTokens);
    }
    for (let input = job.ids.slice(at); ;) {
      const { id, logprob } = await evaluateNext(slot.sequence, input);
      estimate.end();
      job.prefillTokens = 0;
      if (stop.signal.aborted) return;
      job.ids.push(id);
      const finish: Finish | undefined = ends.has(id)
        ? { reason: "stop", stopId: id }
        : job.ids.length - promptIds.length >= most
          ? { reason: "length" }
          : undefined;
      if (finish === undefined && mode === "prefill") {
        const handoff = await exchange.handOver(
          slot,
          chainOf(job.ids.slice(0, -1), request),
          request,
          job.ids,
        );
        if (stop.signal.aborted) offers.release(handoff);
        else output.push(id, logprob, { reason: "length" }, handoff);
        return;
      }
      output.push(id, logprob, finish);
      if (finish !== undefined) return;
      input = [id];
    }
  };

  const run = async (job: Job): Promise<void> => {
    const { request, output, stop } = job;
    const blocks = await receive(job);
    await queue.enter(request.priority ?? 0, stop.signal);
    try {
      const { slot, cachedTokens } = await cache.take(chainOf(job.ids, request), blocks);
      let isSound = false;
      try {
        if (!stop.signal.aborted) await generateOn(job, slot, cachedTokens);
        isSound = true;
      } finally {
        await cache.give(slot, request.tenantSalt, isSound).catch((error: unknown) => {
          unfit = `A sequence of llama.cpp cannot be cleared: ${String(error)}`;
        });
      }
    } catch (error) {
      output.fail(error);
    } finally {
      queue.leave();
    }
  };

  const start = (request: GenerateRequest, { signal }: GenerateOptions): TokenOutput => {
    const held = heldOutputs(request);
    const stop = new AbortController();
    const output = createTokenOutput(held.ids.length - held.toYield, () =>
      stop.abort(new Error("The caller went away.")),
    );
    const full = queue.isFull ? queueFull(maxWaiting) : undefined;
    const refused = signal.aborted ? cancelled(signal) : (closed ?? refusal(request, model) ?? full);
    if (refused !== undefined) {
      output.fail(refused);
      return output;
    }
    const job: Job = {
      request,
      output,
      stop,
      ids: [...request.promptIds, ...held.ids],
      prefillTokens: request.promptIds.length,
    };
    for (const id of held.ids.subarray(held.ids.length - held.toYield)) output.push(id, undefined, undefined);
    const lastId = held.ids.at(-1);
    const { limits, promptIds } = request;
    const isEnded =
      lastId !== undefined &&
      ((limits.ignoreEos !== true && card.specialIds.eos.includes(lastId)) ||
        limits.stopIds?.includes(lastId) === true);
    if (isEnded) output.end({ reason: "stop", stopId: lastId });
    else if (held.ids.length >= Math.min(limits.maxTokens, card.contextTokens - promptIds.length))
      output.end({ reason: "length" });
    else {
      const onAbort = (): void => {
        const error = cancelled(signal);
        output.fail(error);
        stop.abort(error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      jobs.add(job);
      const ending = run(job)
        .catch((error: unknown) => output.fail(error))
        .finally(() => {
          signal.removeEventListener("abort", onAbort);
          jobs.delete(job);
          endings.delete(ending);
          if (jobs.size === 0) estimate.end();
          report();
        });
      endings.add(ending);
    }
    return output;
  };

  return {
    card,
    generate: (request, generateOptions) => ({
      [Symbol.asyncIterator]: () => start(request, generateOptions),
    }),
    estimate(request) {
      const chain = chainOf([...request.promptIds, ...request.outputIds], request);
      const cachedTokens = cache.cachedTokens(chain);
      return {
        cachedTokens,
        queueMs: estimate.prefillMs(queuedPrefillTokens()),
        prefillMs: estimate.prefillMs(chain.ids.length - cachedTokens),
      };
    },
    onStatus(listener) {
      listeners.add(listener);
      heartbeat ??= setInterval(() => jobs.size > 0 && report(), heartbeatMs).unref();
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(heartbeat);
        heartbeat = undefined;
      };
    },
    artifact: (digest) =>
      digest === card.tokenizer.digest
        ? Promise.resolve(model.tokenizer)
        : Promise.reject(
            new EnginesError({
              code: "ENGINES_ARTIFACT_UNKNOWN",
              kind: "notFound",
              message: `This engine has no artefact ${digest}; its tokenizer is ${card.tokenizer.digest}.`,
            }),
          ),
    snapshot() {
      report();
      return { worker, epoch, sequence: eventSequence, events: presence.snapshot(), isSnapshot: true };
    },
    renewHandoff: (handoff) => offers.renew(handoff),
    releaseHandoff: (handoff) => offers.release(handoff),
    async close() {
      if (closed !== undefined) return;
      closed = new EnginesError({
        code: "ENGINES_CLOSED",
        kind: "unavailable",
        message: "The llama engine is closed.",
      });
      clearInterval(heartbeat);
      offers.releaseAll();
      for (const { output, stop } of jobs) {
        output.fail(closed);
        stop.abort(closed);
      }
      await Promise.allSettled(endings);
      await closeAll();
    },
  };
}

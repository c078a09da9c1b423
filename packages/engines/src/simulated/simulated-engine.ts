import {
  cancelled,
  nameBlocks,
  systemClock,
  type Engine,
  type EngineStatus,
  type Finish,
  type GenerateOptions,
  type GenerateRequest,
  type KvEventBatch,
} from "@stator/core";

import { EnginesError } from "../errors/engines-error.ts";
import { queueFull } from "../errors/queue-full.ts";
import { requestError } from "../handoff/check-request.ts";
import { heldOutputs } from "../handoff/held-outputs.ts";
import { sharedLoopback } from "../handoff/loopback.ts";
import { createOfferBook } from "../handoff/offer-book.ts";
import { createBlockPool } from "./kv/block-pool.ts";
import { createKvExchange } from "./kv/kv-exchange.ts";
import { checkOptions, type SimulatedEngineOptions } from "./options.ts";
import { createScheduler } from "./steps/scheduler.ts";
import { createSequence, type Sequence } from "./steps/sequence.ts";
import { simulatedCard } from "./model/simulated-card.ts";
import { createStepLoop } from "./steps/step-loop.ts";
import { createStepper } from "./steps/stepper.ts";
import { createTokenFunction } from "./model/token-function.ts";
import { createTokenOutput, type TokenOutput } from "../output/token-output.ts";
import { simulatedTokenizer } from "./model/tokenizer-file.ts";

/** An engine that can be hurt on purpose. */
export interface SimulatedEngine extends Required<Engine> {
  /** Stops all steps until `thaw`, as a hung device does; requests are still accepted. */
  freeze(): void;
  thaw(): void;
  /** Fails everything that runs, and everything that comes, until `restart`. */
  crash(reason?: string): void;
  /** Comes back after a crash with an empty KV cache and a new epoch. */
  restart(): void;
  /** Multiplies the step time, which counts as at least 1 ms then; 1 is normal speed. */
  slowDown(factor: number): void;
  /** The engine crashes as soon as it computes this id. Undefined: no id is poisoned. */
  poison(id: number | undefined): void;
  /** Changes the content of a cached block, as a defect of a transfer would. False if there is no such block. */
  corruptBlock(sequenceHash: bigint): boolean;
  /** KV blocks that requests use now; 0 when nothing runs, or something leaks. */
  usedBlocks(): number;
}

/**
 * The simulated engine: real scheduling, KV blocks, prefix cache, events, handoffs and sampling around a fixed function
 * in place of a network. The next token depends on the sampler key and on what is read back from the KV blocks, so a
 * wrong resume or wrong KV changes the text.
 *
 * @throws EnginesError `ENGINES_OPTION_INVALID`
 * @example
 * const engine = createSimulatedEngine({ stepTime: linearStepTime({ baseMs: 10 }) });
 */
export function createSimulatedEngine(options: SimulatedEngineOptions = {}): SimulatedEngine {
  checkOptions(options);
  const {
    kvBlocks = 8_192,
    blockBytes = 64,
    maxWaiting = 1_024,
    maxBatchedTokens = 2_048,
    stepTime = () => 0,
    weightsSeed = 0,
    worker = "simulated",
    leaseMs = 10_000,
    onHandoffFailure = "fail",
    clock = systemClock,
    transfer = sharedLoopback(clock),
  } = options;
  const tokenizer = simulatedTokenizer();
  const card = simulatedCard(options, tokenizer);
  const { blockTokens } = card;
  const kvTokens = kvBlocks * blockTokens;
  const pool = createBlockPool({ blocks: kvBlocks, blockTokens });
  const scheduler = createScheduler({
    pool,
    blockTokens,
    maxRunning: options.maxRunning ?? 256,
    maxBatchedTokens,
  });
  const offers = createOfferBook({ source: transfer.source, leaseMs, clock });
  const exchange = createKvExchange({ pool, card, sink: transfer.sink, blockBytes });
  const listeners = new Set<(status: EngineStatus) => void>();
  const live = new Map<Sequence, (error: unknown) => void>();

  let epoch = options.epoch ?? "0";
  let lives = 0;
  let eventSequence = 0n;
  let down: EnginesError | undefined;
  let slowness = 1;
  let poisonedId: number | undefined;

  const report = (): void => {
    const events = pool.drainEvents();
    if (events.length > 0) eventSequence++;
    if (listeners.size === 0) return;
    const status: EngineStatus = {
      step: loop.steps,
      stepAgeMs: loop.ageMs(),
      stepExpectedMs: loop.expectedMs,
      load: scheduler.load(),
      ...(events.length === 0 ? {} : { events: [{ worker, epoch, sequence: eventSequence, events }] }),
      ...(down === undefined ? {} : { unfit: down.message }),
    };
    for (const listener of listeners) listener(status);
  };
  const runItems = createStepper({
    pool,
    blockTokens,
    weightsSeed,
    tokens: createTokenFunction({ weightsSeed, endProbability: options.endProbability ?? 0 }),
    isPoisoned: (id) => id === poisonedId,
    onPoison: () => engine.crash("a poisoned token was computed"),
    onFinished: (sequence, finish) => {
      if (finish !== undefined) finishSequence(sequence, finish);
      else void handOver(sequence);
    },
  });
  const loop = createStepLoop({
    clock,
    stepTime,
    report,
    form: () => scheduler.form(),
    run: ({ items }) => runItems(items),
  });

  const leave = (sequence: Sequence): void => {
    if (sequence.isOver) return;
    sequence.isOver = true;
    scheduler.remove(sequence);
    live.delete(sequence);
  };
  const finishSequence = (sequence: Sequence, finish: Finish): void => {
    leave(sequence);
    const { id, logprob } = sequence.last!;
    sequence.output.push(id, logprob, finish);
  };
  const handOver = async (sequence: Sequence): Promise<void> => {
    const { ids, promptTokens, last, output } = sequence;
    const blocks = exchange.copyBlocks(sequence);
    leave(sequence);
    try {
      const handoff = await offers.handoff({
        card,
        blocks,
        firstIds: [...ids.subarray(promptTokens, sequence.length)],
      });
      if (down !== undefined) output.fail(down);
      if (output.isOver()) offers.release(handoff);
      else output.push(last!.id, last!.logprob, { reason: "length" }, handoff);
    } catch (error) {
      output.fail(error);
    }
  };
  const admit = (sequence: Sequence): void => {
    if (sequence.isOver) return;
    if (scheduler.waiting() >= maxWaiting) {
      live.get(sequence)?.(queueFull(maxWaiting));
      return;
    }
    scheduler.add(sequence);
    loop.kick();
  };
  const refusalOf = (request: GenerateRequest, signal: AbortSignal): Error | undefined => {
    if (signal.aborted) return cancelled(signal);
    const full = scheduler.waiting() >= maxWaiting ? queueFull(maxWaiting) : undefined;
    return down ?? requestError(request, card, kvTokens) ?? full;
  };

  const start = (request: GenerateRequest, { signal }: GenerateOptions): TokenOutput => {
    const held = heldOutputs(request);
    let release = (): void => {};
    const output = createTokenOutput(held.ids.length - held.toYield, () => release());
    const refusal = refusalOf(request, signal);
    if (refusal !== undefined) {
      output.fail(refusal);
      return output;
    }
    const sequence = createSequence({
      request,
      outputIds: held.ids,
      endIds: card.specialIds.eos,
      contextTokens: Math.min(card.contextTokens, kvTokens),
      blockTokens,
      output,
    });
    const fail = (error: unknown): void => {
      release();
      output.fail(error);
    };
    const onAbort = (): void => fail(cancelled(signal));
    release = () => {
      signal.removeEventListener("abort", onAbort);
      leave(sequence);
    };
    output.onOver(() => signal.removeEventListener("abort", onAbort));
    signal.addEventListener("abort", onAbort, { once: true });
    for (const id of held.ids.subarray(held.ids.length - held.toYield)) output.push(id, undefined, undefined);

    const lastId = held.ids.at(-1);
    if (lastId !== undefined && sequence.ends.has(lastId)) output.end({ reason: "stop", stopId: lastId });
    else if (sequence.outputs >= sequence.maxOutputs) output.end({ reason: "length" });
    else {
      live.set(sequence, fail);
      if (request.handoff === undefined || request.mode === "prefill") admit(sequence);
      else {
        exchange.receive(sequence, signal).then(
          () => admit(sequence),
          (error: unknown) => (onHandoffFailure === "recompute" ? admit(sequence) : fail(error)),
        );
      }
    }
    return output;
  };

  const engine: SimulatedEngine = {
    card,
    generate: (request, generateOptions) => ({
      [Symbol.asyncIterator]: () => start(request, generateOptions),
    }),
    estimate(request) {
      const { promptIds, outputIds, adapter = "", tenantSalt = "" } = request;
      const ids = outputIds.length === 0 ? promptIds : Uint32Array.from([...promptIds, ...outputIds]);
      const names = nameBlocks(ids, { blockTokens, adapter, salt: tenantSalt });
      const blocks = Math.floor((ids.length - 1) / blockTokens);
      const cachedTokens = pool.match(names, ids, `${adapter}\u0000${tenantSalt}`, blocks) * blockTokens;
      const prefillTime = (tokens: number): number => {
        let ms = 0;
        for (let left = tokens; left > 0; left -= maxBatchedTokens) {
          const prefillTokens = Math.min(left, maxBatchedTokens);
          ms += stepTime({
            decodeSequences: 0,
            decodeContextTokens: 0,
            prefillSequences: 1,
            prefillTokens,
            prefillContextTokens: tokens - left,
          });
        }
        return ms * slowness;
      };
      return {
        cachedTokens,
        queueMs: prefillTime(scheduler.load().queuedPrefillTokens),
        prefillMs: prefillTime(ids.length - cachedTokens),
      };
    },
    onStatus(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    artifact: (digest) =>
      digest === tokenizer.digest
        ? Promise.resolve(new TextEncoder().encode(tokenizer.json as string))
        : Promise.reject(
            new EnginesError({
              code: "ENGINES_ARTIFACT_UNKNOWN",
              kind: "notFound",
              message: `This engine has no artefact ${digest}; its tokenizer is ${tokenizer.digest}.`,
            }),
          ),
    snapshot(): KvEventBatch {
      report();
      return { worker, epoch, sequence: eventSequence, events: pool.snapshot(), isSnapshot: true };
    },
    renewHandoff: (handoff) => offers.renew(handoff),
    releaseHandoff: (handoff) => offers.release(handoff),
    freeze: () => loop.freeze(),
    thaw: () => loop.thaw(),
    crash(reason = "the crash hook was called") {
      stop(
        new EnginesError({
          code: "ENGINES_CRASHED",
          kind: "unavailable",
          message: `The simulated engine crashed: ${reason}.`,
        }),
      );
      options.onCrash?.(reason);
    },
    restart() {
      if (down?.code !== "ENGINES_CRASHED") return;
      down = undefined;
      loop.resume();
      pool.clear();
      epoch = `${options.epoch ?? "0"}.${++lives}`;
      eventSequence = 0n;
      report();
    },
    slowDown(factor) {
      slowness = factor;
      loop.slowDown(factor);
    },
    poison(id) {
      poisonedId = id;
    },
    corruptBlock(sequenceHash) {
      const block = pool.find(sequenceHash);
      if (block === undefined) return false;
      pool.write(block, { low: 0x2c2c2c2c, high: 0x2c2c2c2c });
      return true;
    },
    usedBlocks: () => pool.used(),
    close() {
      if (down?.code !== "ENGINES_CLOSED") {
        stop(
          new EnginesError({
            code: "ENGINES_CLOSED",
            kind: "unavailable",
            message: "The simulated engine is closed.",
          }),
        );
      }
      return Promise.resolve();
    },
  };

  const stop = (error: EnginesError): void => {
    down = error;
    loop.stop();
    offers.releaseAll();
    for (const fail of [...live.values()]) fail(error);
    report();
  };

  return engine;
}

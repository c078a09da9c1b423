import {
  cancelled,
  createDeadlines,
  observationRules,
  StatorError,
  systemClock,
  wrapEngine,
  type Clock,
  type Deadlines,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type OutcomeType,
  type Pool,
  type Reservation,
  type TokenBatch,
  type WorkerEpoch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { createPool } from "../pool/create-pool.ts";
import { isHandoffFailure } from "../pool/reservation.ts";
import { interruptible } from "../streams/interruptible.ts";
import { linkAbort, type LinkedAbort } from "../streams/linked-abort.ts";
import { planHandoff, type ConnectorPlan } from "./connector-plan.ts";
import { startPrefill, type PrefillRun } from "./prefill-run.ts";
import { uncachedTokensAbove, type When } from "./when.ts";

export interface DisaggregatedOptions {
  /** Where prompts are computed. A plain engine becomes a pool of one. */
  readonly prefill: Engine;
  /** Where tokens are decoded, and prompts too when they are not worth a transfer or prefill fails. */
  readonly decode: Engine;
  /** Which requests are disaggregated. Default: those with more than 256 uncached tokens. */
  readonly when?: When;
  /** `dispatchAckMs` bounds the wait for a prefill worker, `kvTransferBaseMs` the wait for decode's first token. */
  readonly deadlines?: Partial<Deadlines>;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** From 0 to 1, for rooms. Default `Math.random`. */
  readonly random?: () => number;
}

export const defaultUncachedTokens: number = 256;

/** What a disaggregated engine has done so far. */
export interface DisaggregatedCounts {
  readonly activePrefills: number;
  /** Requests decoded from handed-over KV. */
  readonly handedOver: number;
  /** Requests that `when` sent straight to decode. */
  readonly direct: number;
  /** Requests computed at decode because no prefill worker, no common connector, or a failure of prefill or transfer. */
  readonly fallbacks: number;
}

export interface DisaggregatedEngine extends Engine {
  readonly counts: DisaggregatedCounts;
}

/**
 * Prefill and decode on different workers, joined by a handoff of KV. One state machine for every style of connector:
 * reserve both, start prefill, start decode when its style says so, watch both to their end. Whatever happens to prefill or
 * to the transfer, the prompt is computed at decode instead; the source's KV is released on every path.
 *
 * @example
 * const engine = migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) }));
 */
export function disaggregated(options: DisaggregatedOptions): DisaggregatedEngine {
  const clock = options.clock ?? systemClock;
  const deadlines = createDeadlines(options.deadlines);
  const random = options.random ?? Math.random;
  const when = options.when ?? uncachedTokensAbove(defaultUncachedTokens);
  const prefill = asPool(options.prefill, "prefill", clock);
  const decode = asPool(options.decode, "decode", clock);
  const counts = { activePrefills: 0, handedOver: 0, direct: 0, fallbacks: 0 };

  /** The prompt computed where it is decoded; says too which prefill worker died before. */
  async function* locally(
    request: GenerateRequest,
    generateOptions: GenerateOptions,
    reservation: Reservation | undefined,
    before: unknown,
  ): AsyncGenerator<TokenBatch> {
    counts.fallbacks += 1;
    const { handoff: _spent, ...plain } = request;
    try {
      yield* reservation === undefined ? decode.generate(plain, generateOptions) : reservation.generate(plain, generateOptions);
    } catch (error) {
      const died = deathOf(before);
      if (died === undefined || !isAttemptFailure(error)) throw error;
      throw routerError("ROUTER_ATTEMPT_FAILED", error.message, { ...error.data, alsoDied: [died] }, error);
    }
  }

  async function* generate(request: GenerateRequest, generateOptions: GenerateOptions): AsyncGenerator<TokenBatch> {
    const { signal } = generateOptions;
    if (signal.aborted) throw cancelled(signal);
    if (request.mode === "prefill") {
      yield* prefill.generate(request, generateOptions);
      return;
    }
    const promptTokens = request.promptIds.length + request.outputIds.length;
    const uncachedTokens = promptTokens - (decode.estimate?.(request)?.cachedTokens ?? 0);
    if (request.handoff !== undefined || !when({ request, promptTokens, uncachedTokens, activePrefills: counts.activePrefills })) {
      counts.direct += 1;
      yield* decode.generate(request, generateOptions);
      return;
    }

    const decoding = await decode.reserve(request, { ...generateOptions, phase: "decode" });
    try {
      const prefilling = await reservePrefill(request, generateOptions);
      const plan = prefilling === undefined ? undefined : planHandoff(prefilling, decoding, promptTokens, random);
      if (prefilling === undefined || plan === undefined || typeof plan === "string") {
        prefilling?.release();
        yield* locally(request, generateOptions, decoding, undefined);
        return;
      }
      try {
        yield* handOver({ request, options: generateOptions, prefilling, decoding, plan, promptTokens });
      } finally {
        prefilling.release();
      }
    } finally {
      decoding.release();
    }
  }

  /** A place for the prompt, if there is one soon. */
  const reservePrefill = async (request: GenerateRequest, generateOptions: GenerateOptions): Promise<Reservation | undefined> => {
    try {
      return await prefill.reserve(
        { ...request, mode: "prefill" },
        { ...generateOptions, phase: "prefill", waitMs: prefill.card === undefined ? 0 : deadlines.dispatchAckMs },
      );
    } catch (error) {
      if (generateOptions.signal.aborted) throw cancelled(generateOptions.signal);
      if (isCallersFault(error)) throw error;
      return undefined;
    }
  };

  async function* handOver(run: HandOver): AsyncGenerator<TokenBatch> {
    const { request, options: generateOptions, prefilling, decoding, plan, promptTokens } = run;
    const { signal, onEvent } = generateOptions;
    const tellable = { requestId: request.id, choice: request.choice, attempt: request.attempt };
    const prefillAbort = linkAbort(signal);
    let handoff: Handoff | undefined;
    let isPrefilling = true;
    const endPrefill = (): void => {
      if (isPrefilling) counts.activePrefills -= 1;
      isPrefilling = false;
    };

    counts.activePrefills += 1;
    const prefillRequest: GenerateRequest = {
      ...request,
      mode: "prefill",
      ...(plan.offer === undefined ? {} : { handoff: plan.offer }),
    };
    const running = startPrefill(prefilling, prefillRequest, prefillAbort, plan.decodeStarts === "atOnce");
    let outputIds = request.outputIds;
    let billedTokens: number | undefined;
    try {
      if (plan.decodeStarts === "onHandoff") {
        const result = await running.result;
        endPrefill();
        if (result.type === "finished") {
          yield result.batch;
          return;
        }
        if (result.type === "ended") throw routerError("ROUTER_ATTEMPT_FAILED", `Prefill at ${prefilling.worker} ended without a handoff.`);
        handoff = result.handoff;
        const { batch } = result;
        billedTokens = batch.cachedTokens ?? prefilling.cachedTokens;
        onEvent?.({
          type: "prefilled",
          atMs: clock.now(),
          ...tellable,
          worker: prefilling.worker,
          cachedTokens: billedTokens,
          computedTokens: promptTokens - billedTokens,
        });
        if (handoff.firstEmittedBy === "prefill" && batch.ids.length > 0) {
          outputIds = appended(outputIds, batch.ids);
          const isFull = outputIds.length >= request.limits.maxTokens;
          const { handoff: _private, finish: _ofPrefill, ...first } = batch;
          yield { ...first, cachedTokens: billedTokens, ...(isFull ? { finish: { reason: "length" } } : {}) };
          if (isFull) return;
          billedTokens = undefined;
        }
      } else {
        handoff = plan.offer;
        running.result.then(endPrefill, endPrefill);
      }
      const decodeRequest: GenerateRequest = { ...request, outputIds, mode: "full", ...(handoff === undefined ? {} : { handoff }) };
      const ended = yield* decodeFrom(run, decodeRequest, handoff, running, billedTokens);
      if (ended.type === "fallback") yield* locally({ ...request, outputIds }, generateOptions, undefined, ended.error);
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      // Only prefill's own failure comes here unwrapped: nothing of decode has started.
      if (handoff !== undefined || isCallersFault(error) || mustMigrate(request, error)) throw error;
      yield* locally(request, generateOptions, decoding, error);
    } finally {
      endPrefill();
      if (!running.isOver) prefillAbort.abort(routerError("ROUTER_CLOSED", `Request ${request.id} needs no prefill any more.`));
      prefillAbort.unlink();
      if (handoff !== undefined) prefilling.releaseHandoff(handoff);
    }
  }

  /** Decodes from the handoff. Ends in `fallback` when the KV did not come and nothing was decoded yet. */
  async function* decodeFrom(
    run: HandOver,
    request: GenerateRequest,
    handoff: Handoff | undefined,
    running: PrefillRun,
    billedTokens: number | undefined,
  ): AsyncGenerator<TokenBatch, DecodeEnd> {
    const { options: generateOptions, prefilling, decoding } = run;
    const { signal, onEvent } = generateOptions;
    const abort = linkAbort(signal);
    const stream = interruptible(decoding.generate(request, { ...generateOptions, signal: abort.signal }));
    let isSpeaking = false;
    let startedMs = clock.now();
    let prefillFailure: { readonly error: unknown } | undefined;
    const giveUp = (error: unknown): void => {
      if (isSpeaking) return;
      stream.interrupt(error);
      abort.abort(error);
    };
    const expire = (): void =>
      giveUp(
        routerError("ROUTER_FIRST_TOKEN_DEADLINE", `Decode at ${decoding.worker} gave request ${request.id} no token from the KV of ${prefilling.worker}.`, {
          observation: "deadline",
        }),
      );
    const firstTokenMs = deadlines.kvTransferBaseMs + 4 * decoding.costMs;
    let timer = running.isOver || run.plan.decodeStarts === "onHandoff" ? clock.schedule(firstTokenMs, expire) : undefined;
    const renewal = handoff === undefined ? undefined : keepAlive(handoff, prefilling);
    running.onFailure((error) => {
      if (run.plan.decodeStarts === "onHandoff") return;
      prefillFailure = { error };
      giveUp(error);
    });
    if (timer === undefined) {
      // Decode waits for prefill in its room: its own time begins when that is done.
      running.result.then(
        () => {
          startedMs = clock.now();
          if (!isSpeaking) timer = clock.schedule(firstTokenMs, expire);
        },
        () => {},
      );
    }
    try {
      for (;;) {
        const { done, value: batch } = await stream.next();
        if (done === true) throw routerError("ROUTER_ATTEMPT_FAILED", `Decode at ${decoding.worker} ended without its final batch.`);
        if (!isSpeaking && (batch.ids.length > 0 || batch.finish !== undefined)) {
          isSpeaking = true;
          timer?.cancel();
          renewal?.cancel();
          counts.handedOver += 1;
          onEvent?.({
            type: "transferred",
            atMs: clock.now(),
            requestId: request.id,
            choice: request.choice,
            attempt: request.attempt,
            from: prefilling.worker,
            to: decoding.worker,
            heldTokens: handoff?.heldTokens ?? 0,
            durationMs: clock.now() - startedMs,
          });
          // Decoding proves that all of it arrived.
          if (handoff !== undefined) prefilling.releaseHandoff(handoff);
        }
        yield withCached(batch, billedTokens);
        billedTokens = undefined;
        if (batch.finish !== undefined) return { type: "done" };
      }
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      const cause = prefillFailure?.error ?? error;
      if (isSpeaking || isCallersFault(cause) || mustMigrate(request, cause)) throw error;
      const isTransfers = prefillFailure !== undefined || isHandoffFailure(error) || abort.signal.aborted;
      if (!isTransfers) throw error;
      return { type: "fallback", error: cause };
    } finally {
      timer?.cancel();
      renewal?.cancel();
      abort.unlink();
      stream.close();
    }
  }

  /** Renews the source's lease until cancelled, three times in its length. */
  const keepAlive = (handoff: Handoff, prefilling: Reservation): { cancel(): void } | undefined => {
    if (handoff.lease === undefined) return undefined;
    const everyMs = handoff.lease.durationMs / 3;
    const beat = (): void => {
      prefilling.renewHandoff(handoff);
      timer = clock.schedule(everyMs, beat);
    };
    let timer = clock.schedule(everyMs, beat);
    return { cancel: () => timer.cancel() };
  };

  const engine = wrapEngine(decode, { generate });
  Object.defineProperty(engine, "card", { get: () => decode.card, enumerable: true, configurable: true });
  return Object.defineProperty(engine, "counts", { value: counts, enumerable: true }) as DisaggregatedEngine;
}

interface HandOver {
  readonly request: GenerateRequest;
  readonly options: GenerateOptions;
  readonly prefilling: Reservation;
  readonly decoding: Reservation;
  readonly plan: ConnectorPlan;
  readonly promptTokens: number;
}

type DecodeEnd = { readonly type: "done" } | { readonly type: "fallback"; readonly error: unknown };

function asPool(engine: Engine, name: string, clock: Clock): Pool {
  return "reserve" in engine ? (engine as Pool) : createPool({ workers: [engine], name, clock });
}

function appended(ids: Uint32Array, more: TokenBatch["ids"]): Uint32Array {
  const all = new Uint32Array(ids.length + more.length);
  all.set(ids);
  all.set(more, ids.length);
  return all;
}

/** The bill knows what prefill found cached; what decode received is no cache hit. */
function withCached(batch: TokenBatch, billedTokens: number | undefined): TokenBatch {
  if (billedTokens !== undefined) return { ...batch, cachedTokens: billedTokens };
  if (batch.cachedTokens === undefined) return batch;
  const { cachedTokens: _received, ...rest } = batch;
  return rest;
}

/** Another worker would say the same. */
function isCallersFault(error: unknown): boolean {
  return StatorError.isInstance(error) && (error.kind === "invalid" || error.kind === "notFound") && !isHandoffFailure(error);
}

function isAttemptFailure(error: unknown): error is StatorError {
  return StatorError.isInstance(error) && error.code === "ROUTER_ATTEMPT_FAILED";
}

function ruleOf(error: unknown): (typeof observationRules)[OutcomeType] | undefined {
  const observation = StatorError.isInstance(error) ? (error.data?.["observation"] as OutcomeType | undefined) : undefined;
  return observation === undefined ? undefined : observationRules[observation];
}

/** The life that ended with this failure. */
function deathOf(error: unknown): WorkerEpoch | undefined {
  const rule = ruleOf(error);
  const { worker, epoch } = (StatorError.isInstance(error) ? (error.data ?? {}) : {}) as Partial<WorkerEpoch>;
  const isDeath = rule?.class === "crashed" || rule?.class === "dead" || rule?.class === "stuck" || rule?.class === "unfit";
  return isDeath && worker !== undefined && epoch !== undefined ? { worker, epoch } : undefined;
}

/** A retried request whose prefill worker died may be the reason: those above must see it before it meets a third one. */
function mustMigrate(request: GenerateRequest, error: unknown): boolean {
  return request.attempt > 0 && deathOf(error) !== undefined;
}

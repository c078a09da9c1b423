import {
  cancelled,
  createDeadlines,
  extended,
  systemClock,
  wrapEngine,
  type Clock,
  type Deadlines,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type Pool,
  type Reservation,
  type TokenBatch,
  linkAbort,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { createPool } from "../pool/create-pool.ts";
import { withTail, type Prelude } from "../streams/tail.ts";
import { deathOf, isAttemptFailure, isCallersFault, mustMigrate } from "./failures.ts";
import { firstOfDecode, type HandOver } from "./first-of-decode.ts";
import { planHandoff } from "./connector-plan.ts";
import { startPrefill, type PrefillRun } from "./prefill-run.ts";
import { uncachedTokensAbove, type When, type WhenInput } from "./when.ts";

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
  const locally = (
    request: GenerateRequest,
    generateOptions: GenerateOptions,
    reservation: Reservation | undefined,
    before: unknown,
  ): AsyncIterator<TokenBatch> => {
    counts.fallbacks += 1;
    const { handoff: _spent, ...plain } = request;
    const stream = (reservation ?? decode).generate(plain, generateOptions)[Symbol.asyncIterator]();
    const died = deathOf(before);
    if (died === undefined) return stream;
    return {
      next: () =>
        stream.next().catch((error: unknown) => {
          if (!isAttemptFailure(error)) throw error;
          throw routerError(
            "ROUTER_ATTEMPT_FAILED",
            error.message,
            { ...error.data, alsoDied: [died] },
            error,
          );
        }),
      return: () => stream.return!(),
    };
  };

  async function* begin(request: GenerateRequest, generateOptions: GenerateOptions): Prelude<TokenBatch> {
    const { signal } = generateOptions;
    if (signal.aborted) throw cancelled(signal);
    if (request.mode === "prefill") return prefill.generate(request, generateOptions)[Symbol.asyncIterator]();
    const promptTokens = request.promptIds.length + request.outputIds.length;
    const heldByDecode = decode.estimate?.(request)?.cachedTokens ?? 0;
    const input: WhenInput = {
      request,
      promptTokens,
      uncachedTokens: promptTokens - heldByDecode,
      survivingTokens: request.attempt === 0 ? 0 : survivingTokens(request, heldByDecode),
      activePrefills: counts.activePrefills,
    };
    if (request.handoff !== undefined || !when(input)) {
      counts.direct += 1;
      return decode.generate(request, generateOptions)[Symbol.asyncIterator]();
    }

    const decoding = await decode.reserve(request, extended(generateOptions, { phase: "decode" as const }));
    let isDecodingOurs = true;
    try {
      const prefilling = await reservePrefill(request, generateOptions);
      const plan =
        prefilling === undefined ? undefined : planHandoff(prefilling, decoding, promptTokens, random);
      if (prefilling === undefined || plan === undefined || typeof plan === "string") {
        prefilling?.release();
        isDecodingOurs = false;
        return locally(request, generateOptions, decoding, undefined);
      }
      const rest = yield* handOver({
        request,
        options: generateOptions,
        prefilling,
        decoding,
        plan,
        promptTokens,
      });
      isDecodingOurs = rest === undefined;
      return rest;
    } finally {
      // A stream that goes on frees its place by itself.
      if (isDecodingOurs) decoding.release();
    }
  }

  /** What prefill still holds of a prompt and no decode worker does, if it is more than a block. */
  const survivingTokens = (request: GenerateRequest, heldByDecode: number): number => {
    const held = Math.min(prefill.estimate?.(request)?.cachedTokens ?? 0, request.promptIds.length);
    const tokens = held - heldByDecode;
    return tokens > (prefill.card?.blockTokens ?? 0) ? tokens : 0;
  };

  /** A place for the prompt, if there is one soon. */
  const reservePrefill = async (
    request: GenerateRequest,
    generateOptions: GenerateOptions,
  ): Promise<Reservation | undefined> => {
    try {
      return await prefill.reserve(
        { ...request, mode: "prefill" },
        extended(generateOptions, {
          phase: "prefill" as const,
          waitMs: prefill.card === undefined ? 0 : deadlines.dispatchAckMs,
        }),
      );
    } catch (error) {
      if (generateOptions.signal.aborted) throw cancelled(generateOptions.signal);
      if (isCallersFault(error)) throw error;
      return undefined;
    }
  };

  /** From the start of prefill to decode's first token; returns what goes on from there. */
  async function* handOver(run: HandOver): Prelude<TokenBatch> {
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
    let isDecoding = false;
    let left: AsyncIterator<TokenBatch> | undefined;
    try {
      if (plan.decodeStarts === "onHandoff") {
        const result = await running.result;
        endPrefill();
        if (result.type === "finished") {
          // A consumer need not pull beyond the final batch.
          decoding.release();
          yield result.batch;
          return undefined;
        }
        if (result.type === "ended")
          throw routerError(
            "ROUTER_ATTEMPT_FAILED",
            `Prefill at ${prefilling.worker} ended without a handoff.`,
          );
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
          if (isFull) {
            decoding.release();
            prefilling.releaseHandoff(handoff, "abandoned");
          }
          yield { ...first, cachedTokens: billedTokens, ...(isFull ? { finish: { reason: "length" } } : {}) };
          if (isFull) return undefined;
          billedTokens = undefined;
        }
      } else {
        handoff = plan.offer;
        running.result.then(endPrefill, endPrefill);
      }
      const decodeRequest: GenerateRequest = {
        ...request,
        outputIds,
        mode: "full",
        ...(handoff === undefined ? {} : { handoff }),
      };
      const first = await firstOfDecode({ clock, deadlines }, run, decodeRequest, handoff, running);
      if (first.type === "fallback")
        return locally({ ...request, outputIds }, generateOptions, undefined, first.error);
      counts.handedOver += 1;
      isDecoding = true;
      // A consumer that leaves at this yield leaves a stream that is open.
      left = first.rest;
      yield withCached(first.batch, billedTokens);
      left = undefined;
      return first.rest;
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      // Only prefill's own failure comes here without a handoff: nothing of decode has started.
      if (handoff !== undefined || isCallersFault(error) || mustMigrate(request, error)) throw error;
      return locally(request, generateOptions, decoding, error);
    } finally {
      endPrefill();
      void left?.return?.();
      const letGo = (): void => {
        prefillAbort.abort(routerError("ROUTER_CLOSED", `Request ${request.id} needs no prefill any more.`));
        prefillAbort.unlink();
        prefilling.release();
      };
      // Once decode speaks, prefill is watched to its end; nothing waits for it any more.
      if (isDecoding && left === undefined && !running.isOver) watchOut(running, letGo);
      else letGo();
      // What decode did not speak from may still lie at its source.
      if (handoff !== undefined) prefilling.releaseHandoff(handoff, isDecoding ? "taken" : "abandoned");
    }
  }

  /** Lets prefill end by itself, within the time of a transfer. */
  const watchOut = (running: PrefillRun, letGo: () => void): void => {
    const timer = clock.schedule(deadlines.kvTransferBaseMs, letGo);
    void running.over.then(() => {
      timer.cancel();
      letGo();
    });
  };

  const generate = (request: GenerateRequest, generateOptions: GenerateOptions): AsyncIterable<TokenBatch> =>
    withTail(() => begin(request, generateOptions));
  const engine = wrapEngine(decode, { generate });
  Object.defineProperty(engine, "card", { get: () => decode.card, enumerable: true, configurable: true });
  return Object.defineProperty(engine, "counts", { value: counts, enumerable: true }) as DisaggregatedEngine;
}

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

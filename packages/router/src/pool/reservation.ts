import {
  cancelled,
  classifyFailure,
  observationRules,
  outcomeObservation,
  StatorError,
  type Admission,
  type Clock,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type HandoffOutcome,
  type OutcomeType,
  type Reservation,
  type TokenBatch,
  type WorkerCondition,
  type WorkerHandle,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import type { Booking } from "../selector/selector.ts";
import type { PaceWatch } from "./pace-watch.ts";

export interface ReservationParts {
  readonly handle: WorkerHandle;
  readonly booking: Booking;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly pace: PaceWatch;
  /** Its probe showed that the worker works again. */
  readonly onProbed: () => void;
  /** The place is free again. */
  readonly onRelease: () => void;
}

/** Conditions in which running work must leave, and the line of the table that each is. */
const leaving: Partial<Record<WorkerCondition, "silent" | "stuck" | "unfit">> = {
  silent: "silent",
  stuck: "stuck",
  unfit: "unfit",
};

/** A booked place at one worker: freed on every path out of `generate`, or by `release`. */
export function createReservation({
  handle,
  booking,
  admission,
  clock,
  pace,
  onProbed,
  onRelease,
}: ReservationParts): Reservation {
  const { worker, card, engine, health } = handle;
  let isReleased = false;
  let isStarted = false;

  const release = (): void => {
    if (isReleased) return;
    isReleased = true;
    booking.free();
    if (!isStarted) health.withdraw(admission);
    onRelease();
  };

  const failed = (
    error: unknown,
    options: GenerateOptions,
    request: GenerateRequest,
    isSpeaking: boolean,
  ): Error => {
    const outcome = classifyFailure(error, options.signal);
    // KV that could not be fetched is the source's fault or the network's, not this worker's.
    if (request.handoff !== undefined && isHandoffFailure(error)) {
      health.observe({ type: "clientError" });
      if (!isSpeaking) return error as Error;
      return attemptFailed("neverStarted", error);
    }
    health.observe(outcomeObservation(outcome, error));
    if (outcome === "cancelled") return cancelled(options.signal);
    if (observationRules[outcome].migrate === "no" && error !== undefined) return error as Error;
    return attemptFailed(outcome, error);
  };
  const attemptFailed = (observation: OutcomeType, error: unknown): Error => {
    const reason = error instanceof Error ? error.message : "its stream ended without the final batch";
    const cause = StatorError.isInstance(error) ? error : undefined;
    return routerError(
      "ROUTER_ATTEMPT_FAILED",
      `Worker ${worker.id} failed: ${reason}`,
      { ...cause?.data, worker: worker.id, epoch: worker.epoch, rank: booking.rank, observation },
      error,
    );
  };

  /** One run, without a generator: this is on the way of every token. */
  const start = (request: GenerateRequest, options: GenerateOptions): AsyncIterator<TokenBatch> => {
    const { signal } = options;
    const controller = new AbortController();
    let iterator: AsyncIterator<TokenBatch> | undefined;
    let resolve: ((result: IteratorResult<TokenBatch>) => void) | undefined;
    let reject: ((error: unknown) => void) | undefined;
    let unwatch = (): void => {};
    let outputs = request.outputIds.length;
    let isSpeaking = false;
    let lastMs = 0;
    let isOver = false;
    let failure: { readonly error: unknown } | undefined;

    /** Frees everything that this run holds; the engine is told unless it ended by itself. */
    const end = (isEngineDone: boolean): void => {
      isOver = true;
      unwatch();
      signal.removeEventListener("abort", onAbort);
      if (!isEngineDone) {
        controller.abort(
          signal.aborted ? signal.reason : routerError("ROUTER_CLOSED", "The attempt is over."),
        );
        // A hung engine may never answer; its rejection, if it comes at all, has no reader.
        iterator?.return?.().catch(() => {});
      }
      release();
    };
    const fail = (error: unknown, isEngineDone: boolean): void => {
      if (isOver) return;
      const told = failed(error, options, request, isSpeaking);
      end(isEngineDone);
      if (reject === undefined) failure = { error: told };
      else reject(told);
      resolve = reject = undefined;
    };
    const onAbort = (): void => fail(signal.reason, false);
    const leave = (condition: WorkerCondition): void => {
      const observation = leaving[condition];
      if (observation === undefined) return;
      fail(
        routerError("ROUTER_ATTEMPT_FAILED", `It is ${health.reason ?? condition}.`, { observation }),
        false,
      );
    };
    const onError = (error: unknown): void => fail(error, true);
    const onResult = (result: IteratorResult<TokenBatch>): void => {
      if (isOver) return;
      if (result.done === true) {
        fail(undefined, true);
        return;
      }
      const batch = result.value;
      const count = batch.ids.length;
      if (!isSpeaking && (count > 0 || batch.handoff !== undefined)) {
        isSpeaking = true;
        booking.prefilled(
          batch.cachedTokens === undefined ? undefined : { cachedTokens: batch.cachedTokens },
        );
        if (admission.isProbe) {
          health.observe({ type: "spoke" });
          onProbed();
        }
      }
      if (count > 0) {
        booking.progress((outputs += count));
        const nowMs = clock.now();
        if (lastMs > 0) pace.see(health, nowMs - lastMs, count);
        lastMs = nowMs;
      }
      if (batch.finish !== undefined) {
        // A slow worker answers its probe too: it stays out unless too many others are.
        const isSlow = admission.isProbe && pace.isProbeSlow(health);
        if (isSlow) health.observe({ type: "outlier" });
        if (!isSlow || health.condition !== "ejected") health.observe({ type: "done" });
        end(true);
      }
      const tell = resolve;
      resolve = reject = undefined;
      tell?.(result);
    };
    const open = (): AsyncIterator<TokenBatch> | undefined => {
      isStarted = true;
      signal.addEventListener("abort", onAbort, { once: true });
      unwatch = health.onChange((_state, condition) => leave(condition));
      leave(health.condition);
      if (isOver) return undefined;
      const sent =
        worker.ranks > 1
          ? { ...request, hints: { ...request.hints, pin: { worker: worker.id, rank: booking.rank } } }
          : request;
      return engine.generate(sent, { ...options, signal: controller.signal })[Symbol.asyncIterator]();
    };

    return {
      next() {
        return new Promise((onValue, onFailure) => {
          if (!isOver && signal.aborted && iterator === undefined) {
            isOver = true;
            release();
            onFailure(cancelled(signal));
            return;
          }
          if (!isOver) iterator ??= open();
          if (failure !== undefined) {
            onFailure(failure.error as Error);
            failure = undefined;
          } else if (isOver || iterator === undefined) {
            onValue({ done: true, value: undefined });
          } else {
            resolve = onValue;
            reject = onFailure;
            iterator.next().then(onResult, onError);
          }
        });
      },
      return() {
        if (!isOver) {
          health.observe({ type: "cancelled" });
          end(false);
          resolve?.({ done: true, value: undefined });
          resolve = reject = undefined;
        }
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  };

  const generate = (request: GenerateRequest, options: GenerateOptions): AsyncIterable<TokenBatch> => {
    if (isReleased) throw routerError("ROUTER_CLOSED", `The reservation at ${worker.id} was released.`);
    return { [Symbol.asyncIterator]: () => start(request, options) };
  };

  return {
    worker: worker.id,
    epoch: worker.epoch,
    rank: booking.rank,
    card,
    cachedTokens: booking.cachedTokens,
    costMs: booking.costMs,
    generate,
    renewHandoff: (handoff: Handoff) => engine.renewHandoff?.(handoff),
    releaseHandoff: (handoff: Handoff, outcome: HandoffOutcome) => engine.releaseHandoff?.(handoff, outcome),
    release,
  };
}

/** Codes of engines and transfers that say: the KV did not arrive. */
export function isHandoffFailure(error: unknown): boolean {
  if (!StatorError.isInstance(error)) return false;
  return error.code.startsWith("TRANSFER_") || error.code.startsWith("ENGINES_HANDOFF_");
}

import {
  cancelled,
  classifyFailure,
  observationRules,
  outcomeObservation,
  StatorError,
  type Admission,
  type GenerateOptions,
  type GenerateRequest,
  type Handoff,
  type OutcomeType,
  type Reservation,
  type TokenBatch,
  type WorkerCondition,
  type WorkerHandle,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import type { Booking } from "../selector/selector.ts";
import { interruptible } from "../streams/interruptible.ts";
import { linkAbort } from "../streams/linked-abort.ts";

export interface ReservationParts {
  readonly handle: WorkerHandle;
  readonly booking: Booking;
  readonly admission: Admission;
  /** The place is free again. */
  readonly onRelease: () => void;
}

/** Conditions in which running work must leave, and the line of the table that each is. */
const leaving: Partial<Record<WorkerCondition, "silent" | "stuck" | "unfit">> = { silent: "silent", stuck: "stuck", unfit: "unfit" };

/** A booked place at one worker: freed on every path out of `generate`, or by `release`. */
export function createReservation({ handle, booking, admission, onRelease }: ReservationParts): Reservation {
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

  const failed = (error: unknown, options: GenerateOptions, request: GenerateRequest, isSpeaking: boolean): Error => {
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

  async function* generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<TokenBatch> {
    if (isReleased) throw routerError("ROUTER_CLOSED", `The reservation at ${worker.id} was released.`);
    if (options.signal.aborted) {
      release();
      throw cancelled(options.signal);
    }
    isStarted = true;
    const attempt = linkAbort(options.signal);
    const sent = worker.ranks > 1 ? { ...request, hints: { ...request.hints, pin: { worker: worker.id, rank: booking.rank } } } : request;
    const stream = interruptible(engine.generate(sent, { ...options, signal: attempt.signal }));
    const leave = (condition: WorkerCondition): void => {
      const observation = leaving[condition];
      if (observation === undefined) return;
      stream.interrupt(
        routerError("ROUTER_ATTEMPT_FAILED", `Worker ${worker.id} is ${health.reason ?? condition}.`, { observation }),
      );
    };
    const unwatch = health.onChange((_state, condition) => leave(condition));
    leave(health.condition);
    const onAbort = (): void => stream.interrupt(options.signal.reason);
    options.signal.addEventListener("abort", onAbort, { once: true });
    let outputs = request.outputIds.length;
    let isSpeaking = false;
    let isSettled = false;
    let isFinished = false;
    try {
      for (;;) {
        const { done, value: batch } = await stream.next();
        if (done === true) throw undefined;
        if (!isSpeaking && (batch.ids.length > 0 || batch.handoff !== undefined)) {
          isSpeaking = true;
          booking.prefilled(batch.cachedTokens === undefined ? undefined : { cachedTokens: batch.cachedTokens });
        }
        if (batch.ids.length > 0) {
          outputs += batch.ids.length;
          booking.progress(outputs);
        }
        if (batch.finish !== undefined) {
          isFinished = true;
          isSettled = true;
          health.observe({ type: "done" });
          release();
          yield batch;
          return;
        }
        yield batch;
      }
    } catch (error) {
      isSettled = true;
      throw failed(error, options, request, isSpeaking);
    } finally {
      if (!isSettled) health.observe({ type: "cancelled" });
      unwatch();
      options.signal.removeEventListener("abort", onAbort);
      attempt.unlink();
      stream.close();
      if (!isFinished) attempt.abort(options.signal.aborted ? options.signal.reason : routerError("ROUTER_CLOSED", "The attempt is over."));
      release();
    }
  }

  return {
    worker: worker.id,
    epoch: worker.epoch,
    rank: booking.rank,
    card,
    cachedTokens: booking.cachedTokens,
    costMs: booking.costMs,
    generate,
    renewHandoff: (handoff: Handoff) => engine.renewHandoff?.(handoff),
    releaseHandoff: (handoff: Handoff) => engine.releaseHandoff?.(handoff),
    release,
  };
}

/** Codes of engines and transfers that say: the KV did not arrive. */
export function isHandoffFailure(error: unknown): boolean {
  if (!StatorError.isInstance(error)) return false;
  return error.code.startsWith("TRANSFER_") || error.code.startsWith("ENGINES_HANDOFF_");
}

import {
  linkAbort,
  type Engine,
  type GenerateRequest,
  type RequestEvent,
  type RequestObserver,
  type StatorError,
  type TokenBatch,
  type WorkerEpoch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import type { Journal } from "./journal.ts";
import type { Suspect } from "./quarantine.ts";

/** One try of one request. */
export interface Attempt {
  readonly attempt: number;
  readonly iterator: AsyncIterator<TokenBatch>;
  readonly signal: AbortSignal;
  /** Where it went, as its `routed` event said: decode's place, when prefill has one of its own. */
  readonly routed: {
    readonly life?: WorkerEpoch;
    readonly cachedTokens: number;
    readonly weightsDigest?: string;
  };
  isFinished: boolean;
  abort(reason: unknown): void;
  /** Lets go of it; what it runs is cancelled unless it finished. */
  close(): void;
}

/** Starts the journal's current attempt at `inner` and listens to where it goes. */
export function startAttempt(
  inner: Engine,
  request: GenerateRequest,
  journal: Journal,
  suspect: Suspect,
  parent: AbortSignal,
  onEvent: RequestObserver | undefined,
): Attempt {
  const linked = linkAbort(parent);
  const routed: { life?: WorkerEpoch; cachedTokens: number; weightsDigest?: string } = { cachedTokens: 0 };
  const observe = (event: RequestEvent): void => {
    if (event.type === "routed" && event.epoch !== undefined) {
      const life = { worker: event.worker, epoch: event.epoch };
      suspect.placed(life);
      if (event.phase !== "prefill" || routed.life === undefined) {
        routed.life = life;
        routed.cachedTokens = event.cachedTokens;
        if (event.weightsDigest !== undefined) routed.weightsDigest = event.weightsDigest;
      }
    }
    onEvent?.(event);
  };
  const current = journal.request();
  const avoid = suspect.avoiding(current.avoid);
  const sent = avoid === current.avoid ? current : { ...current, avoid };
  const output = inner.generate(sent, { signal: linked.signal, onEvent: observe });
  const iterator = output[Symbol.asyncIterator]();
  const attempt: Attempt = {
    attempt: current.attempt,
    iterator,
    signal: linked.signal,
    routed,
    isFinished: false,
    abort: (reason) => linked.abort(reason),
    close() {
      linked.unlink();
      if (!attempt.isFinished) {
        linked.abort(
          routerError("ROUTER_CLOSED", `Attempt ${attempt.attempt} of request ${request.id} is over.`),
        );
      }
      // Whoever waits at its last batch ends now. What hangs may never answer; its rejection, if it comes at all, has no reader.
      iterator.return?.().catch(() => {});
    },
  };
  return attempt;
}

/** The life that an error blames. */
export function lifeOf(error: StatorError | undefined): WorkerEpoch | undefined {
  const { worker, epoch } = (error?.data ?? {}) as Partial<WorkerEpoch>;
  return typeof worker === "string" && typeof epoch === "string" ? { worker, epoch } : undefined;
}

/** Lives that ended in the same attempt before the one that the error names: a prefill worker's, usually. */
export function alsoDied(error: StatorError | undefined): readonly WorkerEpoch[] {
  return (error?.data?.["alsoDied"] as readonly WorkerEpoch[] | undefined) ?? [];
}

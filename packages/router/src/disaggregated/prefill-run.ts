import type { GenerateRequest, Handoff, Reservation, TokenBatch } from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import type { LinkedAbort } from "../streams/linked-abort.ts";

/** What prefill's stream said of the request. */
export type PrefillResult =
  /** KV is on offer; `batch` is what came with it. */
  | { readonly type: "handoff"; readonly handoff: Handoff; readonly batch: TokenBatch }
  /** The first token ended the request: there is nothing to decode. */
  | { readonly type: "finished"; readonly batch: TokenBatch }
  /** It ended well without a handoff of its own: the two sides met by themselves. */
  | { readonly type: "ended" };

/** Prefill running beside what waits for it. */
export interface PrefillRun {
  /** The handoff as soon as it is valid, which may be before prefill's stream ends. */
  readonly result: Promise<PrefillResult>;
  /** Called when it fails, before or after its result. */
  onFailure(listener: (error: unknown) => void): void;
  readonly isOver: boolean;
}

/** Starts prefill and watches it to its end. */
export function startPrefill(
  reservation: Reservation,
  request: GenerateRequest,
  abort: LinkedAbort,
  mayEndWithoutHandoff: boolean,
): PrefillRun {
  const listeners = new Set<(error: unknown) => void>();
  let failure: { readonly error: unknown } | undefined;
  let isOver = false;

  const watch = async (resolve: (result: PrefillResult) => void): Promise<void> => {
    let isTold = false;
    const tell = (result: PrefillResult): void => {
      isTold = true;
      resolve(result);
    };
    for await (const batch of reservation.generate(request, { signal: abort.signal })) {
      if (batch.handoff !== undefined) {
        const source = { worker: reservation.worker, epoch: reservation.epoch, rank: reservation.rank };
        tell({ type: "handoff", handoff: { source, ...batch.handoff }, batch });
      } else if (batch.finish !== undefined && batch.ids.length > 0 && !mayEndWithoutHandoff) {
        tell({ type: "finished", batch });
      }
    }
    if (isTold) return;
    if (!mayEndWithoutHandoff) {
      throw routerError("ROUTER_ATTEMPT_FAILED", `Prefill at ${reservation.worker} ended without a handoff.`);
    }
    tell({ type: "ended" });
  };
  const result = new Promise<PrefillResult>((resolve, reject) => {
    watch(resolve)
      .catch((error: unknown) => {
        reject(error as Error);
        failure = { error };
        for (const listener of listeners) listener(error);
      })
      .finally(() => (isOver = true));
  });
  result.catch(() => {});

  return {
    result,
    onFailure(listener) {
      listeners.add(listener);
      if (failure !== undefined) listener(failure.error);
    },
    get isOver() {
      return isOver;
    },
  };
}

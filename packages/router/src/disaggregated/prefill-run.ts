import type { GenerateRequest, Handoff, Reservation, TokenBatch, LinkedAbort } from "@stator/core";

import { routerError } from "../errors/router-error.ts";

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
  readonly isOver: boolean;
  /** Resolves when its stream has ended, well or not. */
  readonly over: Promise<void>;
}

/** Starts prefill and watches it to its end. */
export function startPrefill(
  reservation: Reservation,
  request: GenerateRequest,
  abort: LinkedAbort,
  mayEndWithoutHandoff: boolean,
): PrefillRun {
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
  let endOfStream: Promise<void> = Promise.resolve();
  const result = new Promise<PrefillResult>((resolve, reject) => {
    // After the result its failure has no reader; `reject` is then without effect.
    endOfStream = watch(resolve)
      .catch(reject)
      .finally(() => (isOver = true));
  });
  result.catch(() => {});

  return {
    result,
    over: endOfStream,
    get isOver() {
      return isOver;
    },
  };
}

import type { Handoff, Finish, TokenBatch, TokenIds, TokenLogprob } from "@stator/core";

/** What few rows of a frame say besides ids. */
export interface RowDetail {
  readonly logprobs?: readonly TokenLogprob[];
  readonly handoff?: Handoff;
  readonly cachedTokens?: number;
  readonly finish?: Finish;
}

/**
 * The tokens of one request on the caller's side. What arrives while its consumer is busy waits as one batch: ids, four
 * bytes each, bounded by the request's budget. So a slow consumer never holds up the session that it shares.
 */
export interface RemoteStream extends AsyncIterableIterator<TokenBatch> {
  push(firstIndex: number, ids: TokenIds, detail: RowDetail | undefined): void;
  fail(error: unknown): void;
  /** No more will come: it ended with its final batch, failed, or its consumer left. */
  readonly isOver: boolean;
}

interface Pending {
  firstIndex: number;
  ids: number[];
  logprobs?: TokenLogprob[];
  handoff?: Handoff;
  cachedTokens?: number;
  finish?: Finish;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<TokenBatch>) => void;
  readonly reject: (error: unknown) => void;
}

/** @param onOver called once when no more will come; `hasLeft`: because its consumer left before the end. */
export function createRemoteStream(onOver: (hasLeft: boolean) => void): RemoteStream {
  let waiter: Waiter | undefined;
  let pending: Pending[] = [];
  let failure: { readonly error: unknown } | undefined;
  let isComplete = false;
  let isOver = false;

  const stream: RemoteStream = {
    get isOver() {
      return isOver || isComplete || failure !== undefined;
    },
    push(firstIndex, ids, detail) {
      if (isOver || failure !== undefined) return;
      if (detail?.finish !== undefined) {
        isComplete = true;
        onOver(false);
      }
      if (waiter !== undefined) {
        const { resolve } = waiter;
        waiter = undefined;
        resolve({
          done: false,
          value: detail === undefined ? { firstIndex, ids } : { firstIndex, ids, ...detail },
        });
        return;
      }
      const last = pending[pending.length - 1];
      if (last !== undefined && last.firstIndex + last.ids.length === firstIndex && canJoin(last, detail)) {
        for (let i = 0; i < ids.length; i++) last.ids.push(ids[i]!);
        if (detail !== undefined) join(last, detail);
        return;
      }
      const next: Pending = { firstIndex, ids: Array.from(ids) };
      if (detail !== undefined) join(next, detail);
      pending.push(next);
    },
    fail(error) {
      if (isOver || isComplete || failure !== undefined) return;
      failure = { error };
      onOver(false);
      if (waiter === undefined) return;
      const { reject } = waiter;
      waiter = undefined;
      isOver = true;
      reject(error);
    },
    next() {
      const batch = pending[0];
      if (batch !== undefined) {
        if (pending.length === 1) pending = [];
        else pending.shift();
        return Promise.resolve({ done: false, value: batch });
      }
      if (failure !== undefined && !isOver) {
        isOver = true;
        // A rejection is the iterator's answer here, whatever was thrown on the other side.
        return Promise.reject(failure.error as Error);
      }
      if (isOver || isComplete) {
        isOver = true;
        return Promise.resolve({ done: true, value: undefined });
      }
      return new Promise((resolve, reject) => {
        waiter = { resolve, reject };
      });
    },
    return() {
      const hasLeft = !stream.isOver;
      isOver = true;
      pending = [];
      if (hasLeft) onOver(true);
      waiter?.resolve({ done: true, value: undefined });
      waiter = undefined;
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return stream;
    },
  };
  return stream;
}

/** Two batches are one when both or neither have log probabilities, and the first is not already an end. */
function canJoin(last: Pending, detail: RowDetail | undefined): boolean {
  if (last.finish !== undefined || last.handoff !== undefined) return false;
  return (last.logprobs === undefined) === (detail?.logprobs === undefined);
}

function join(pending: Pending, detail: RowDetail): void {
  if (detail.logprobs !== undefined) pending.logprobs = [...(pending.logprobs ?? []), ...detail.logprobs];
  if (detail.handoff !== undefined) pending.handoff = detail.handoff;
  if (detail.cachedTokens !== undefined) pending.cachedTokens = detail.cachedTokens;
  if (detail.finish !== undefined) pending.finish = detail.finish;
}

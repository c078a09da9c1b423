import type { Finish, Handoff, TokenBatch, TokenLogprob } from "@stator/core";

/** The stream of one sequence: the engine pushes, the caller pulls. Ids that nobody pulled yet share a batch. */
export interface TokenOutput extends AsyncIterator<TokenBatch> {
  push(id: number, logprob: TokenLogprob | undefined, finish: Finish | undefined, handoff?: Handoff): void;
  /** Ends the stream without a further id. */
  end(finish: Finish): void;
  fail(error: unknown): void;
  /** Says, before the first id, how many prompt tokens were not computed. */
  cached(tokens: number): void;
  /** Whether nothing more can reach the caller: it has the end, went away, or the stream failed. */
  isOver(): boolean;
  /** Calls `fn` once when no more can come out. */
  onOver(fn: () => void): void;
}

interface Waiter {
  resolve(result: IteratorResult<TokenBatch>): void;
  reject(error: unknown): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const done: IteratorResult<TokenBatch> = { done: true, value: undefined };

/** `onReturn` is called when the caller stops pulling before the end. */
export function createTokenOutput(firstIndex: number, onReturn: () => void): TokenOutput {
  let index = firstIndex;
  let ids: number[] = [];
  let logprobs: TokenLogprob[] | undefined;
  let finish: Finish | undefined;
  let handoff: Handoff | undefined;
  let cachedTokens: number | undefined;
  let failure: { readonly error: unknown } | undefined;
  let waiter: Waiter | undefined;
  let isOver = false;
  let onOver = (): void => {};
  const over = (): void => {
    isOver = true;
    onOver();
  };

  const batch = (): TokenBatch => {
    const out: Mutable<TokenBatch> = { firstIndex: index, ids };
    index += ids.length;
    ids = [];
    if (logprobs !== undefined) {
      out.logprobs = logprobs;
      logprobs = undefined;
    }
    if (cachedTokens !== undefined) {
      out.cachedTokens = cachedTokens;
      cachedTokens = undefined;
    }
    if (handoff !== undefined) {
      out.handoff = handoff;
      handoff = undefined;
    }
    if (finish !== undefined) {
      out.finish = finish;
      over();
    }
    return out;
  };
  const deliver = (): void => {
    if (waiter === undefined) return;
    const { resolve } = waiter;
    waiter = undefined;
    resolve({ done: false, value: batch() });
  };

  return {
    isOver: () => isOver || failure !== undefined,
    onOver(fn) {
      onOver = fn;
    },
    cached(tokens) {
      cachedTokens = tokens;
    },
    push(id, logprob, finished, handedOff) {
      ids.push(id);
      if (logprob !== undefined) (logprobs ??= []).push(logprob);
      finish = finished;
      handoff = handedOff;
      deliver();
    },
    end(finished) {
      finish = finished;
      deliver();
    },
    fail(error) {
      if (isOver || finish !== undefined) return;
      if (waiter === undefined) {
        failure = { error };
        return;
      }
      over();
      const { reject } = waiter;
      waiter = undefined;
      reject(error);
    },
    next() {
      if (isOver) return Promise.resolve(done);
      if (failure !== undefined) {
        over();
        return Promise.reject(failure.error as Error);
      }
      if (ids.length > 0 || finish !== undefined) return Promise.resolve({ done: false, value: batch() });
      return new Promise((resolve, reject) => {
        waiter = { resolve, reject };
      });
    },
    return() {
      if (!isOver) {
        over();
        onReturn();
        waiter?.resolve(done);
        waiter = undefined;
      }
      return Promise.resolve(done);
    },
  };
}

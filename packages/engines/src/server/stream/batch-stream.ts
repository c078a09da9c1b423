import type { TokenBatch } from "@stator/core";
import type { EventStream } from "./event-stream.ts";

/** Reads a kind's events one by one. */
export interface EventReader {
  /** The batch that an event stands for, if it does. One with `finish` is the last. */
  read(event: unknown): TokenBatch | undefined;
  /** What was kept for the end of the stream. */
  end?(): TokenBatch | undefined;
}

/** A stream of batches without a generator: this is on the way of every token. */
export interface BatchStream extends AsyncIterable<TokenBatch> {
  next(): Promise<IteratorResult<TokenBatch>>;
  return(): Promise<IteratorResult<TokenBatch>>;
}

const over: IteratorResult<TokenBatch> = { done: true, value: undefined };

/** Batches of a server's events: those that came together are one. */
export function batchesOfEvents(
  events: EventStream,
  reader: EventReader,
  /** What the caller gets of a batch. */
  adjust: (batch: TokenBatch) => TokenBatch | undefined = (batch) => batch,
): BatchStream {
  let isOver = false;
  let failure: { readonly error: unknown } | undefined;

  const leave = (): void => {
    isOver = true;
    void events.return();
  };
  const told = (batch: TokenBatch | undefined): IteratorResult<TokenBatch> | undefined => {
    const value = batch && adjust(batch);
    if (value === undefined) return undefined;
    if (value.finish !== undefined) {
      isOver = true;
      // An end that was added here is news to the server.
      if (batch?.finish === undefined) void events.return();
      else events.drain();
    }
    return { done: false, value };
  };
  const onEvents = (
    result: IteratorResult<readonly unknown[]>,
  ): IteratorResult<TokenBatch> | Promise<IteratorResult<TokenBatch>> => {
    if (isOver) return over;
    if (result.done === true) {
      isOver = true;
      return told(reader.end?.()) ?? over;
    }
    const batches: TokenBatch[] = [];
    try {
      for (const event of result.value) {
        const batch = reader.read(event);
        if (batch === undefined) continue;
        batches.push(batch);
        if (batch.finish !== undefined) break;
      }
    } catch (error) {
      // What came before it is told first.
      if (batches.length === 0) {
        leave();
        throw error;
      }
      failure = { error };
    }
    return told(batches.length > 1 ? joined(batches) : batches[0]) ?? next();
  };
  const next = (): Promise<IteratorResult<TokenBatch>> => {
    if (failure !== undefined) {
      leave();
      const { error } = failure;
      failure = undefined;
      return Promise.reject(error as Error);
    }
    return isOver ? Promise.resolve(over) : events.next().then(onEvents);
  };

  const stream: BatchStream = {
    next,
    return() {
      if (!isOver) leave();
      return Promise.resolve(over);
    },
    [Symbol.asyncIterator]: () => stream,
  };
  return stream;
}

function joined(batches: readonly TokenBatch[]): TokenBatch {
  const cachedTokens = batches.find((batch) => batch.cachedTokens !== undefined)?.cachedTokens;
  const finish = batches.at(-1)!.finish;
  return {
    firstIndex: batches[0]!.firstIndex,
    ids: batches.flatMap(({ ids }) => [...ids]),
    ...(batches.every(({ logprobs }) => logprobs === undefined)
      ? {}
      : { logprobs: batches.flatMap(({ logprobs = [] }) => logprobs) }),
    ...(cachedTokens === undefined ? {} : { cachedTokens }),
    ...(finish === undefined ? {} : { finish }),
  };
}

/**
 * A stream whose first read may fail in a way that the caller knows: `mend` returns the stream to go on with, or throws.
 */
export function mended(stream: BatchStream, mend: (error: unknown) => BatchStream): BatchStream {
  let current = stream;
  let isFirst = true;
  const self: BatchStream = {
    next() {
      if (!isFirst) return current.next();
      return current.next().then(
        (result) => {
          isFirst = false;
          return result;
        },
        (error: unknown) => {
          isFirst = false;
          current = mend(error);
          return current.next();
        },
      );
    },
    return: () => current.return(),
    [Symbol.asyncIterator]: () => self,
  };
  return self;
}

/** A stream of one batch, which is asked for when the stream is read. */
export async function* oneBatch(ask: () => Promise<TokenBatch>): AsyncGenerator<TokenBatch> {
  yield await ask();
}

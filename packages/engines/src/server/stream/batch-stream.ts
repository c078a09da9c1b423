import type { Finish, TokenBatch, TokenLogprob } from "@stator/core";
import { parseExactJson } from "../http/exact-json.ts";
import { serverGone } from "../http/server-errors.ts";
import type { EventSource } from "./event-source.ts";

/** Reads a kind's events one by one. */
export interface EventReader {
  /** Output index of the next id. */
  readonly index: number;
  /**
   * Appends the ids of an event that says nothing else to `ids`, without parsing the rest of it; false where it is any other
   * event, which `read` gets then. Most events are such.
   */
  scan?(bytes: Buffer, start: number, end: number, ids: number[]): boolean;
  /** The batch that an event stands for, if it does. One with `finish` is the last. The event's own bytes, to learn from. */
  read(event: unknown, bytes: Buffer, start: number, end: number): TokenBatch | undefined;
  /** What was kept for the end of the stream. */
  end?(): TokenBatch | undefined;
}

/** A stream of batches without a generator: this is on the way of every token. */
export interface BatchStream extends AsyncIterable<TokenBatch> {
  next(): Promise<IteratorResult<TokenBatch>>;
  return(): Promise<IteratorResult<TokenBatch>>;
}

const over: IteratorResult<TokenBatch> = { done: true, value: undefined };

/** Ids that nobody takes, after which the server has to wait. */
const mostWaiting = 1_024;

/** Batches of a server's events: those that came together are one. */
export function batchesOfEvents(
  url: string,
  events: EventSource,
  reader: EventReader,
  /** What the caller gets of a batch. */
  adjust: (batch: TokenBatch) => TokenBatch | undefined = (batch) => batch,
): BatchStream {
  // What has come and was not taken: one batch that grows.
  let firstIndex = 0;
  let ids: number[] = [];
  let logprobs: readonly TokenLogprob[] | undefined;
  let cachedTokens: number | undefined;
  let finish: Finish | undefined;
  let isOpen = false;
  let isOver = false;
  /** The server is at its end, or failed: what has come is told first. */
  let ended: { readonly error?: unknown } | undefined;
  let isPaused = false;
  let resolve: ((result: IteratorResult<TokenBatch>) => void) | undefined;
  let reject: ((error: unknown) => void) | undefined;

  const grow = (batch: TokenBatch): void => {
    if (ids.length === 0) firstIndex = batch.firstIndex;
    for (const id of batch.ids) ids.push(id);
    if (batch.logprobs !== undefined)
      logprobs = logprobs === undefined ? batch.logprobs : [...logprobs, ...batch.logprobs];
    cachedTokens ??= batch.cachedTokens;
    finish = batch.finish;
  };
  /** What has come, and nothing is left of it; undefined where the caller gets none of it. */
  const taken = (): TokenBatch | undefined => {
    const isPlain = logprobs === undefined && cachedTokens === undefined && finish === undefined;
    if (ids.length === 0 && isPlain) return undefined;
    const isEnd = finish !== undefined;
    const batch = adjust(
      isPlain
        ? { firstIndex, ids }
        : {
            firstIndex,
            ids,
            ...(logprobs === undefined ? {} : { logprobs }),
            ...(cachedTokens === undefined ? {} : { cachedTokens }),
            ...(finish === undefined ? {} : { finish }),
          },
    );
    ids = [];
    logprobs = cachedTokens = finish = undefined;
    if (batch?.finish !== undefined) {
      isOver = true;
      // An end that was added here is news to the server.
      if (isEnd) events.drain();
      else events.leave();
    }
    return batch;
  };
  const answer = (): void => {
    const [tell, refuse] = [resolve, reject];
    if (tell === undefined || refuse === undefined) return;
    const value = taken();
    if (value !== undefined) {
      resolve = reject = undefined;
      tell({ done: false, value });
    } else if (isOver || ended !== undefined) {
      resolve = reject = undefined;
      isOver = true;
      if (ended !== undefined && "error" in ended) refuse(ended.error);
      else tell(over);
      ended = undefined;
    }
  };
  const open = (): void => {
    isOpen = true;
    events.open({
      onPayload(bytes, start, end) {
        if (finish !== undefined) return;
        try {
          if (ids.length === 0) firstIndex = reader.index;
          if (reader.scan?.(bytes, start, end, ids) === true) return;
          const batch = reader.read(parsed(url, bytes.toString("utf8", start, end)), bytes, start, end);
          if (batch !== undefined) grow(batch);
        } catch (error) {
          ended = { error };
          events.leave();
          answer();
        }
      },
      onRead() {
        answer();
        if (ids.length > mostWaiting && !isPaused) {
          isPaused = true;
          events.pause();
        }
      },
      onEnd() {
        const last = reader.end?.();
        if (last !== undefined) grow(last);
        ended ??= {};
        answer();
      },
      onFailure(error) {
        ended ??= { error };
        answer();
      },
    });
  };

  const stream: BatchStream = {
    next() {
      return new Promise((onValue, onError) => {
        resolve = onValue;
        reject = onError;
        if (!isOpen) open();
        else {
          answer();
          if (isPaused && resolve !== undefined) {
            isPaused = false;
            events.resume();
          }
        }
      });
    },
    return() {
      if (!isOver) {
        isOver = true;
        if (isOpen) events.leave();
      }
      answer();
      return Promise.resolve(over);
    },
    [Symbol.asyncIterator]: () => stream,
  };
  return stream;
}

function parsed(url: string, text: string): unknown {
  try {
    return parseExactJson(text);
  } catch (error) {
    throw serverGone(url, new Error(`an event is no JSON: ${String(error)}`), true);
  }
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

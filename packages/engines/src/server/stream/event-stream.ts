import type { IncomingMessage } from "node:http";
import { cancelled } from "@stator/core";
import { parseExactJson } from "../exact-json.ts";
import { serverGone } from "../server-errors.ts";

/** Parsed events of a server, as many at a time as were ready. Leaving it closes the connection. */
export interface EventStream {
  next(): Promise<IteratorResult<readonly unknown[]>>;
  return(): Promise<IteratorResult<readonly unknown[]>>;
  /** Instead of `return`, when the server is at its end: nothing more is told, and its connection serves again. */
  drain(): void;
}

/** Most that a line of a stream may hold, characters. */
const mostCharacters = 64 * 2 ** 20;
/** Events that nobody takes, after which the server has to wait. */
const mostPending = 1_024;
/** From `[DONE]` to the end of the body; a connection whose answer goes on cannot be used again. */
const tailMs = 1_000;

const over: IteratorResult<readonly unknown[]> = { done: true, value: undefined };

/**
 * The `data:` payloads of a server-sent event stream, until `[DONE]` or its end. One read of the socket becomes one list,
 * in one turn: this is on the way of every token.
 */
export function readEvents(response: IncomingMessage, signal: AbortSignal, url: string): EventStream {
  let rest = "";
  let pending: unknown[] = [];
  let isOver = false;
  let failure: { readonly error: unknown } | undefined;
  let resolve: ((result: IteratorResult<readonly unknown[]>) => void) | undefined;
  let reject: ((error: unknown) => void) | undefined;

  const settle = (): void => {
    isOver = true;
    signal.removeEventListener("abort", onAbort);
    response.off("data", onData);
  };
  const answer = (): void => {
    if (resolve === undefined) return;
    const [tell, refuse] = [resolve, reject!];
    if (pending.length > 0) {
      const value = pending;
      pending = [];
      resolve = reject = undefined;
      tell({ done: false, value });
    } else if (isOver) {
      resolve = reject = undefined;
      if (failure === undefined) tell(over);
      else refuse(failure.error);
      failure = undefined;
    }
  };
  const fail = (error: unknown): void => {
    if (isOver) return;
    settle();
    failure = { error };
    response.destroy();
    answer();
  };
  /** After the last word: what is left of the body is read away, so that the connection serves again. */
  const finish = (): void => {
    if (isOver) return;
    settle();
    response.resume();
    if (!response.complete) setTimeout(() => response.destroy(), tailMs).unref();
    answer();
  };
  const onAbort = (): void => {
    pending = [];
    fail(cancelled(signal));
  };
  const onData = (text: string): void => {
    const all = rest === "" ? text : rest + text;
    let start = 0;
    let end: number;
    while ((end = all.indexOf("\n", start)) >= 0) {
      const from = start;
      start = end + 1;
      if (!all.startsWith("data:", from)) continue;
      const payload = all.slice(from + 5, end).trim();
      if (payload === "[DONE]") {
        finish();
        return;
      }
      try {
        pending.push(parseExactJson(payload));
      } catch (error) {
        fail(serverGone(url, new Error(`an event is no JSON: ${String(error)}`), true));
        return;
      }
    }
    rest = all.slice(start);
    if (rest.length > mostCharacters) {
      fail(serverGone(url, new Error(`a line of more than ${mostCharacters} characters`), true));
      return;
    }
    answer();
    if (pending.length > mostPending) response.pause();
  };

  response.setEncoding("utf8");
  response.on("data", onData);
  response.on("end", finish);
  response.on("error", (error) => fail(serverGone(url, error, true)));
  response.on("close", () => fail(serverGone(url, new Error("the connection was closed"), true)));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });

  return {
    next() {
      return new Promise((onValue, onFailure) => {
        resolve = onValue;
        reject = onFailure;
        answer();
        if (resolve !== undefined && response.isPaused()) response.resume();
      });
    },
    drain() {
      pending = [];
      finish();
    },
    return() {
      if (!isOver) {
        settle();
        pending = [];
        // Leaving early closes the connection, which is how every engine is told to stop.
        response.destroy();
      }
      answer();
      return Promise.resolve(over);
    },
  };
}

/** The events one by one, for readers that wait in between. */
export async function* eachEvent(events: EventStream): AsyncGenerator<unknown> {
  try {
    for (;;) {
      const { done, value } = await events.next();
      if (done === true) return;
      yield* value;
    }
  } finally {
    void events.return();
  }
}

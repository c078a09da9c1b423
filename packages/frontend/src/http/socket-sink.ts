import type { ServerResponse } from "node:http";
import { blockedClientMs, type EventSink } from "../openai/exchange.ts";

/** Writes what became ready for each client once per turn of the event loop. */
export interface Flusher {
  add(sink: Flushable): void;
}

interface Flushable {
  flush(): void;
}

/** One `setImmediate` for all sinks of a server: tokens of one engine step, of many streams, leave in one go. */
export function createFlusher(): Flusher {
  let dirty: Flushable[] = [];
  const flushAll = (): void => {
    const sinks = dirty;
    dirty = [];
    for (const sink of sinks) sink.flush();
  };
  return {
    add(sink) {
      if (dirty.push(sink) === 1) setImmediate(flushAll);
    },
  };
}

/** Bytes that one client may get in one turn of the event loop: a source that is always ready must not starve the rest. */
const turnBytes = 16 * 1024;

/**
 * Events to a node:http response. A client that does not read stops the writing at the socket's high-water mark; while
 * it is blocked no text is made for it, and after `blockedMs` its connection is cut.
 */
export function createSocketSink(
  response: ServerResponse,
  flusher: Flusher,
  blockedMs: number = blockedClientMs,
): EventSink {
  let waiting = "";
  let isEnded = false;
  let room: { readonly promise: Promise<void>; open(): void } | undefined;

  const sink: Flushable & EventSink = {
    write(events) {
      if (isEnded) return;
      if (waiting === "") flusher.add(sink);
      waiting += events;
    },
    flush() {
      const events = waiting;
      waiting = "";
      if (!response.destroyed) {
        if (isEnded) response.end(events);
        else response.write(events);
        if (room !== undefined && response.writableNeedDrain) {
          waitForDrain(response, blockedMs, room.open);
          return;
        }
      }
      room?.open();
    },
    room() {
      if (room !== undefined) return room.promise;
      const isBlocked = response.writableNeedDrain;
      if ((waiting.length < turnBytes && !isBlocked) || response.destroyed) return undefined;
      let resolve: () => void = () => {};
      const promise = new Promise<void>((done) => (resolve = done));
      room = {
        promise,
        open() {
          room = undefined;
          resolve();
        },
      };
      if (waiting === "") waitForDrain(response, blockedMs, room.open);
      return promise;
    },
    end() {
      if (isEnded) return;
      if (waiting === "") flusher.add(sink);
      isEnded = true;
    },
  };
  return sink;
}

/** Calls `then` once the client has read enough or is gone; cuts the connection after `blockedMs`. */
function waitForDrain(response: ServerResponse, blockedMs: number, then: () => void): void {
  const done = (): void => {
    clearTimeout(timer);
    response.off("drain", done);
    response.off("close", done);
    then();
  };
  const timer = setTimeout(() => response.destroy(), blockedMs);
  timer.unref();
  response.on("drain", done);
  response.on("close", done);
}

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
 * Events to a node:http response, one write at a time: the next waits until the kernel has taken the one before. So a client
 * that does not read costs about `turnBytes`, no text is made for it meanwhile, and after `blockedMs` its connection is cut.
 */
export function createSocketSink(
  response: ServerResponse,
  flusher: Flusher,
  blockedMs: number = blockedClientMs,
): EventSink {
  let waiting = "";
  let isEnded = false;
  let isWriting = false;
  /** The first write takes the head along. */
  let hasHead = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let room: { readonly promise: Promise<void>; open(): void } | undefined;

  const openRoom = (): void => {
    const opening = room;
    room = undefined;
    opening?.open();
  };
  const watchClient = (): void => {
    timer ??= setTimeout(() => response.destroy(), blockedMs).unref();
  };
  const onWritten = (): void => {
    isWriting = false;
    clearTimeout(timer);
    timer = undefined;
    if (waiting !== "" || (isEnded && !response.writableEnded)) sink.flush();
    else openRoom();
  };
  response.once("close", () => {
    clearTimeout(timer);
    openRoom();
  });

  const sink: Flushable & EventSink = {
    write(events, atOnce = false) {
      if (isEnded) return;
      const isIdle = waiting === "" && !isWriting;
      waiting += events;
      if (!isIdle) return;
      if (atOnce) sink.flush();
      else flusher.add(sink);
    },
    flush() {
      if (isWriting || response.destroyed) return;
      const events = waiting;
      waiting = "";
      isWriting = true;
      if (isEnded) response.end(events);
      else if (hasHead) writeChunk(response, events, onWritten);
      else response.write(events, onWritten);
      hasHead = true;
      if (isEnded || room !== undefined) watchClient();
    },
    room() {
      if (room !== undefined) return room.promise;
      if ((waiting.length < turnBytes && !isWriting) || response.destroyed) return undefined;
      let open: () => void = () => {};
      const promise = new Promise<void>((resolve) => (open = resolve));
      room = { promise, open };
      if (isWriting) watchClient();
      return promise;
    },
    end() {
      if (isEnded) return;
      if (waiting === "" && !isWriting) flusher.add(sink);
      isEnded = true;
    },
  };
  return sink;
}

/**
 * `response.write` makes four writes of a chunk and gathers them in a tick of its own, some 8 µs for each token; framed here it
 * is one string for the socket. Only behind the head, and where the answer comes in chunks (HTTP/1.1).
 */
function writeChunk(response: ServerResponse, events: string, onWritten: () => void): void {
  const { socket } = response;
  if (socket === null || !response.chunkedEncoding) {
    response.write(events, onWritten);
    return;
  }
  const bytes = Buffer.byteLength(events);
  const encoding = bytes === events.length ? "latin1" : "utf8";
  socket.write(`${bytes.toString(16)}\r\n${events}\r\n`, encoding, onWritten);
}

import { cancelled } from "@stator/core";
import type { Call, Connections } from "../http/connections.ts";
import { serverError, serverGone } from "../http/server-errors.ts";
import { createEventLines, type EventLines } from "./event-lines.ts";

/** Who is told of a server's events. */
export interface EventSink {
  /** The payload of one event; valid during the call. What it throws ends the stream. */
  onPayload(bytes: Buffer, start: number, end: number): void;
  /** What one read of the socket brought has been told. */
  onRead(): void;
  /** `[DONE]`, or the end of the body. */
  onEnd(): void;
  onFailure(error: unknown): void;
}

/** A stream of events that a server answers with; asked for when it is opened. */
export interface EventSource {
  /** Once. */
  open(sink: EventSink): void;
  pause(): void;
  resume(): void;
  /** The caller has all that it wants and the server is at its end: its connection serves again. Nothing more is told. */
  drain(): void;
  /** Closes the connection, which is how every engine is told to stop. Nothing more is told. */
  leave(): void;
}

/** From `[DONE]` to the end of the body; a connection whose answer goes on cannot be used again. */
const tailMs = 1_000;
/** Of the body that comes with a refusal, bytes that are read. */
const mostErrorBytes = 1024 * 1024;

/** A post whose answer is read as a stream of events. */
export interface EventPost {
  readonly url: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export function createEventSource(
  connections: Connections,
  { url, path, headers, body, signal }: EventPost,
): EventSource {
  let call: Call | undefined;
  let to: EventSink | undefined;
  let lines: EventLines | undefined;
  let refusal: { readonly status: number; text: string } | undefined;
  let isComplete = false;
  let tail: NodeJS.Timeout | undefined;

  /** Nothing is told after it. */
  const close = (): EventSink | undefined => {
    const told = to;
    to = undefined;
    signal.removeEventListener("abort", onAbort);
    return told;
  };
  const fail = (error: unknown): void => {
    call?.leave();
    close()?.onFailure(error);
  };
  const onAbort = (): void => fail(cancelled(signal));
  /** What is left of the body is read away, so that the connection serves again. */
  const drain = (): void => {
    close();
    if (isComplete || tail !== undefined) return;
    call?.resume();
    tail = setTimeout(() => call?.leave(), tailMs).unref();
  };
  const onDone = (): void => {
    const told = to;
    drain();
    told?.onEnd();
  };

  return {
    open(sink) {
      to = sink;
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener("abort", onAbort, { once: true });
      call = connections.post(path, headers, body, {
        onHead(status) {
          if (status < 200 || status >= 300) refusal = { status, text: "" };
          else
            lines = createEventLines((bytes, start, end) => {
              to?.onPayload(bytes, start, end);
            }, onDone);
        },
        onBody(bytes, start, end) {
          if (refusal !== undefined) {
            if (refusal.text.length < mostErrorBytes) refusal.text += bytes.toString("utf8", start, end);
            return;
          }
          if (to === undefined) return;
          try {
            lines?.push(bytes, start, end);
          } catch (error) {
            fail(serverGone(url, error, true));
          }
        },
        onRead: () => to?.onRead(),
        onEnd() {
          isComplete = true;
          clearTimeout(tail);
          if (refusal === undefined) close()?.onEnd();
          else fail(serverError(url, refusal.status, refusal.text));
        },
        onFailure(error, hasAnswered) {
          clearTimeout(tail);
          if (refusal === undefined) fail(serverGone(url, error, hasAnswered));
          else fail(serverError(url, refusal.status, refusal.text));
        },
      });
    },
    pause: () => call?.pause(),
    resume: () => call?.resume(),
    drain,
    leave() {
      close();
      call?.leave();
    },
  };
}

/** The events one by one and parsed, for readers that wait in between. */
export async function* eachEvent(
  source: EventSource,
  parse: (text: string) => unknown,
): AsyncGenerator<unknown> {
  const waiting: unknown[] = [];
  let end: { readonly error?: unknown } | undefined;
  let wake = (): void => {};
  source.open({
    onPayload(bytes, start, end) {
      waiting.push(parse(bytes.toString("utf8", start, end)));
      if (waiting.length > mostWaiting) source.pause();
    },
    onRead: () => wake(),
    onEnd() {
      end = {};
      wake();
    },
    onFailure(error) {
      end = { error };
      wake();
    },
  });
  try {
    for (;;) {
      while (waiting.length > 0) {
        yield waiting.shift();
        if (waiting.length === 0) source.resume();
      }
      if (end !== undefined) break;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    if ("error" in end) throw end.error;
  } finally {
    if (end === undefined) source.leave();
  }
}

/** Events that nobody takes, after which the server has to wait. */
const mostWaiting = 1_024;

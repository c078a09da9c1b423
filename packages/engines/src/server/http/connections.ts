import type { ResponseHeaders } from "./response-parser.ts";
import { createConnection, type Connection, type ExchangeSink } from "./connection.ts";

/** Connections to one server, kept open between requests. */
export interface Connections {
  /** Posts `body`; what comes back is told to `sink`. */
  post(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array, sink: AnswerSink): Call;
  /** Closes those that wait for another request. */
  close(): void;
}

/** Who is told of an answer. */
export interface AnswerSink {
  onHead(status: number, headers: ResponseHeaders): void;
  /** Valid during the call only. */
  onBody(bytes: Buffer, start: number, end: number): void;
  /** What one read of the socket brought has been told. */
  onRead(): void;
  onEnd(): void;
  /** @param hasAnswered the head had come */
  onFailure(error: Error, hasAnswered: boolean): void;
}

/** A request under way. */
export interface Call {
  pause(): void;
  resume(): void;
  /** Closes its connection, which is how every engine is told to stop. Nothing more is told. */
  leave(): void;
}

/** Connections that wait for another request, at most. */
const mostIdle = 256;

/** Connections to the server at `url`, http or https. */
export function createConnections(url: string): Connections {
  const base = new URL(url);
  const idle: Idle[] = [];

  interface Idle {
    readonly connection: Connection;
    timer: NodeJS.Timeout | undefined;
  }
  const forget = (connection: Connection): void => {
    const at = idle.findIndex((one) => one.connection === connection);
    if (at < 0) return;
    clearTimeout(idle[at]!.timer);
    idle.splice(at, 1);
  };
  const keep = (connection: Connection, idleMs: number | undefined): void => {
    if (idle.length >= mostIdle) {
      connection.destroy();
      return;
    }
    // A second before the server would close it, so that no request meets its end.
    const timer =
      idleMs === undefined
        ? undefined
        : setTimeout(() => connection.destroy(), Math.max(0, idleMs - 1_000)).unref();
    idle.push({ connection, timer });
  };
  const take = (): Connection => {
    const waiting = idle.pop();
    if (waiting !== undefined) {
      clearTimeout(waiting.timer);
      return waiting.connection;
    }
    const opened: Connection = createConnection({
      url: base,
      onFree: (idleMs) => keep(opened, idleMs),
      onClose: () => forget(opened),
    });
    return opened;
  };

  return {
    post(path, headers, body, sink) {
      const target = new URL(path, base);
      let head = `POST ${target.pathname}${target.search} HTTP/1.1\r\nhost: ${target.host}\r\n`;
      for (const [name, value] of Object.entries(headers)) head += `${name}: ${fieldText(value)}\r\n`;
      head += `content-length: ${body.length}\r\n\r\n`;
      let connection: Connection;
      /** Left by the caller, or told to its end: the connection is not this call's any more. */
      let isOver = false;
      let hasAnswered = false;
      const exchange: ExchangeSink = {
        onHead(status, fields) {
          hasAnswered = true;
          if (!isOver) sink.onHead(status, fields);
        },
        onBody(bytes, start, end) {
          if (!isOver) sink.onBody(bytes, start, end);
        },
        onRead() {
          if (!isOver) sink.onRead();
        },
        onEnd() {
          if (isOver) return;
          isOver = true;
          sink.onEnd();
        },
        onFailure(error, isUnheard) {
          if (isOver) return;
          // A server may close a connection that waits in the moment in which it is used again: nobody has seen the request.
          if (isUnheard) {
            begin();
            return;
          }
          isOver = true;
          sink.onFailure(error, hasAnswered);
        },
      };
      const begin = (): void => {
        connection = take();
        connection.send(head, body, exchange);
      };
      begin();
      return {
        pause() {
          if (!isOver) connection.pause();
        },
        resume() {
          if (!isOver) connection.resume();
        },
        leave() {
          if (isOver) return;
          isOver = true;
          connection.destroy();
        },
      };
    },
    close() {
      for (const { connection, timer } of idle.splice(0)) {
        clearTimeout(timer);
        connection.destroy();
      }
    },
  };
}

/** A value as a header field may carry it: ids come from clients, and a line break in one would begin another field. */
function fieldText(value: string): string {
  return value.replaceAll(/[^\t\x20-\x7e]/g, "_");
}

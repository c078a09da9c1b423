import * as http2 from "node:http2";
import * as net from "node:net";
import type { GrpcTransportOptions } from "@connectrpc/connect-node";
import type { Clock } from "@stator/core";
import { RuntimeError } from "../runtime-error.ts";

/** Flow-control windows in bytes: four frames may be under way. Node's default of 64 KiB would stop within one. */
export const windowBytes: number = 1024 * 1024;

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

export interface H2ConnectionOptions {
  /** `http://host:port`. */
  readonly authority: string;
  readonly clock: Clock;
  readonly connectMs: number;
}

/**
 * One connection in one life, for a connect-es transport: it does not reconnect, and it sends no pings. Both are the
 * session's affair; the pings of connect-es throw outside any handler when they meet a destroyed session (#1795).
 */
export interface H2Connection extends SessionManager {
  /** It failed or closed. */
  readonly isOver: boolean;
  close(): void;
}

export function openH2Connection(options: H2ConnectionOptions): H2Connection {
  const { authority, clock, connectMs } = options;
  let failure: unknown;
  let socket: net.Socket | undefined;
  const session = http2.connect(authority, {
    settings: { initialWindowSize: windowBytes },
    createConnection(url) {
      const host = url.hostname.replace(/^\[|\]$/g, "");
      // Nagle's algorithm would hold back a small frame until the last one is acknowledged.
      return (socket = net.connect({ host, port: Number(url.port), noDelay: true }));
    },
  });
  /**
   * With an error, because calls without an answer yet hear of nothing else: connect-es would wait for ever. And the socket
   * too: a session that is destroyed waits for what it writes, for ever when the peer reads nothing.
   */
  const destroy = (error: unknown): void => {
    if (!session.destroyed) session.destroy(error as Error);
    socket?.destroy();
  };

  const ready = new Promise<http2.ClientHttp2Session>((resolve, reject) => {
    const timer = clock.schedule(connectMs, () => {
      fail(
        new RuntimeError({
          code: "RUNTIME_NOT_CONNECTED",
          kind: "unavailable",
          message: `${authority} did not answer within ${connectMs} ms.`,
          data: { observation: "neverStarted" },
        }),
      );
    });
    const fail = (error: unknown): void => {
      failure ??= error;
      timer.cancel();
      reject(failure as Error);
      destroy(failure);
    };
    session.once("connect", () => {
      // A reset that came with the connection: `close` tells next, and any call on the session would throw out of here.
      if (session.destroyed) return;
      timer.cancel();
      session.setLocalWindowSize(windowBytes);
      resolve(session);
    });
    session.on("error", fail);
    session.once("close", () => {
      fail(failure ?? new Error(`The connection to ${authority} closed.`));
    });
  });
  // Whoever asks for a stream gets the rejection; nobody has to.
  ready.catch(() => {});

  return {
    authority,
    get isOver() {
      return failure !== undefined;
    },
    async request(method, path, headers, requestOptions) {
      const open = await ready;
      return open.request({ ...headers, ":method": method, ":path": path }, requestOptions);
    },
    notifyResponseByteRead() {},
    close() {
      destroy(new Error(`The connection to ${authority} was closed here.`));
    },
  };
}

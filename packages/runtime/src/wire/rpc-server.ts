import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { readMaxBytes } from "../session/limits.ts";
import { windowBytes } from "./h2-connection.ts";

/** An h2c server for Connect, gRPC and gRPC-Web calls. */
export interface RpcServer {
  readonly port: number;
  /** Serves other routes from the next call on; calls in progress go on. */
  route(routes: (router: ConnectRouter) => void): void;
  /** Cuts what runs. */
  close(): Promise<void>;
}

export interface RpcServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly routes: (router: ConnectRouter) => void;
  /** A connection silent for this long is asked by a ping; one that does not answer for as long again is closed. */
  readonly silentConnectionMs: number;
}

export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const adapt = (routes: (router: ConnectRouter) => void) =>
    connectNodeAdapter({ routes, acceptCompression: [], readMaxBytes, writeMaxBytes: readMaxBytes });
  let handler = adapt(options.routes);
  const server = http2.createServer(
    { settings: { initialWindowSize: windowBytes, maxConcurrentStreams: 1000 } },
    (request, response) => handler(request, response),
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("connection", (socket: Socket) => socket.setNoDelay(true));
  server.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(windowBytes);
    session.once("close", () => sessions.delete(session));
    // A peer that resets its connection is seen by the streams' own handlers.
    session.on("error", () => session.destroy());
    closeWhenGone(session, options.silentConnectionMs);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    route(routes) {
      handler = adapt(routes);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** A caller whose host vanished resets nothing, and its connection would stay for ever: silent ones are asked. */
function closeWhenGone(session: http2.ServerHttp2Session, silentMs: number): void {
  let isAsked = false;
  session.setTimeout(silentMs);
  session.on("timeout", () => {
    if (session.destroyed) return;
    if (isAsked) return session.destroy();
    isAsked = true;
    session.ping(() => (isAsked = false));
    // It fires once, and then only after the next sign of life.
    session.setTimeout(silentMs);
  });
}

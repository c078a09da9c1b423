import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createIndexerHandler, createRouterService, createSelector } from "@stator/router";
import type { Closable } from "@stator/runtime";
import type { RouterConfig } from "./router-config.ts";

const mostBodyBytes = 64 * 2 ** 20;

export interface RunningRouter extends Closable {
  /** Connect and gRPC over h2c. */
  readonly rpcUrl: string;
  /** The Mooncake indexer API. */
  readonly httpUrl: string;
}

/** The standalone router: `RouterService` over HTTP/2, and the indexer query API over HTTP/1.1. */
export async function runRouter({
  listen,
  model,
  selector: options,
  leaseMs,
}: RouterConfig): Promise<RunningRouter> {
  const selector = createSelector(options);
  const service = createRouterService({ selector, ...(leaseMs === undefined ? {} : { leaseMs }) });
  const rpc = createHttp2Server(
    connectNodeAdapter({
      routes: (router) => service.routes(router),
      acceptCompression: [],
      readMaxBytes: mostBodyBytes,
    }),
  );
  const sessions = new Set<ServerHttp2Session>();
  rpc.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  const answer = createIndexerHandler({ models: { [model]: selector } });
  const http = createHttpServer((request, response) => {
    respond(request, response, answer).catch(() => response.destroy());
  });
  rpc.listen(listen.rpcPort, listen.host);
  http.listen(listen.httpPort, listen.host);
  await Promise.all([once(rpc, "listening"), once(http, "listening")]);
  const portOf = (server: { address(): AddressInfo | string | null }): number =>
    (server.address() as AddressInfo).port;
  return {
    rpcUrl: `http://${listen.host}:${portOf(rpc)}`,
    httpUrl: `http://${listen.host}:${portOf(http)}`,
    async close() {
      const closed = Promise.all([once(rpc, "close"), once(http, "close")]);
      rpc.close();
      http.close();
      http.closeAllConnections();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (request: Request) => Promise<Response>,
): Promise<void> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBodyBytes) {
      response.writeHead(413, { connection: "close" }).end();
      return;
    }
    chunks.push(chunk);
  }
  const method = request.method ?? "GET";
  const url = new URL(request.url ?? "/", "http://router");
  const result = await answer(
    new Request(
      url,
      method === "GET" || method === "HEAD" ? { method } : { method, body: Buffer.concat(chunks) },
    ),
  );
  response.writeHead(result.status, Object.fromEntries(result.headers));
  response.end(Buffer.from(await result.arrayBuffer()));
}

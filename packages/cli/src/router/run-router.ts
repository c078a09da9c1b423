import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { CoreError } from "@stator/core";
import { createMetrics } from "@stator/metrics";
import { createIndexerHandler, createRouterService, createSelector } from "@stator/router";
import type { Closable } from "@stator/runtime";
import { createLogger } from "../processes/logger.ts";
import { openDecisionFile } from "./decision-file.ts";
import { joinReplicas } from "./join-replicas.ts";
import type { RouterConfig } from "./router-config.ts";

const mostBodyBytes = 64 * 2 ** 20;

export interface RunningRouter extends Closable {
  /** Connect and gRPC over h2c. */
  readonly rpcUrl: string;
  /** The Mooncake indexer API, Connect over HTTP/1.1, and `/metrics`. */
  readonly httpUrl: string;
}

/** The standalone router: `RouterService` over HTTP/2 and HTTP/1.1, and there the indexer query API, too. */
export async function runRouter({
  listen,
  model,
  selector: options,
  leaseMs,
  replicas,
  decisions,
  logLevel,
}: RouterConfig): Promise<RunningRouter> {
  const logger = createLogger(logLevel, { process: "router" });
  const metrics = createMetrics({ hierarchy: { component: "router" } });
  // First, because what fails here must not leave a connection to the others open.
  const file = decisions === undefined ? undefined : await openDecisionFile(decisions, logger);
  const joined = replicas === undefined ? undefined : await joinReplicas(replicas, logger);
  const alone = createSelector({ ...options, logger, meter: metrics });
  const shared = joined?.group.join(model, alone, { sharesIndex: true }) ?? alone;
  const selector = file?.record(shared) ?? shared;
  const service = createRouterService({
    selector,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(joined?.peers === undefined ? {} : { peers: joined.peers }),
  });
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
  const query = createIndexerHandler({ models: { [model]: selector } });
  const answer = async (request: Request): Promise<Response> =>
    request.method === "GET" && new URL(request.url).pathname === "/metrics"
      ? new Response(await metrics.expose(), { headers: { "content-type": metrics.contentType } })
      : query(request);
  // Plain HTTP clients have Connect with JSON on the second port, beside the indexer API.
  const http = createHttpServer(
    connectNodeAdapter({
      routes: (router) => service.routes(router),
      acceptCompression: [],
      readMaxBytes: mostBodyBytes,
      fallback(request, response) {
        respond(request as IncomingMessage, response as ServerResponse, answer).catch(() =>
          response.destroy(),
        );
      },
    }),
  );
  const close = async (): Promise<void> => {
    await joined?.close();
    const closed = [rpc, http].filter((server) => server.listening).map((server) => once(server, "close"));
    rpc.close();
    http.close();
    http.closeAllConnections();
    for (const session of sessions) session.destroy();
    await Promise.all(closed);
    await file?.close();
  };
  rpc.listen(listen.rpcPort, listen.host);
  http.listen(listen.httpPort, listen.host);
  // Both have to settle: one that starts to listen after it was closed would stay.
  const starts = await Promise.allSettled([once(rpc, "listening"), once(http, "listening")]);
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    await close();
    const cause = failed.reason as Error;
    throw new CoreError({
      code: "CORE_OPTION_INVALID",
      kind: "invalid",
      message: `listen: ${cause.message}; give free ports as rpcPort and httpPort, or 0.`,
      cause,
    });
  }
  const portOf = (server: { address(): AddressInfo | string | null }): number =>
    (server.address() as AddressInfo).port;
  return {
    rpcUrl: `http://${listen.host}:${portOf(rpc)}`,
    httpUrl: `http://${listen.host}:${portOf(http)}`,
    close,
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

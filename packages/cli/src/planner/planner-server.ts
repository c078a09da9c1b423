import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Metrics } from "@stator/metrics";
import type { PlannerServiceHandle } from "@stator/planner/service";
import type { Closable } from "@stator/runtime";

export interface PlannerServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly rpcPort: number;
  readonly httpPort: number;
  readonly service: PlannerServiceHandle;
  readonly metrics: Metrics;
}

export interface PlannerServer extends Closable {
  /** `PlannerService`: Connect and gRPC over h2c. */
  readonly rpcUrl: string;
  /** `/metrics` and `/health`. */
  readonly httpUrl: string;
}

/** What `stator planner` listens on. */
export async function servePlanner(options: PlannerServerOptions): Promise<PlannerServer> {
  const { host, service, metrics } = options;
  const rpc = createHttp2Server(
    connectNodeAdapter({ routes: (router) => service.routes(router), acceptCompression: [] }),
  );
  const sessions = new Set<ServerHttp2Session>();
  rpc.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  const http = createHttpServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://planner").pathname;
    if (path === "/health") response.end("ok\n");
    else if (path !== "/metrics") response.writeHead(404).end("not found: /metrics, /health\n");
    else
      metrics.expose().then(
        (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
  });
  rpc.listen(options.rpcPort, host);
  http.listen(options.httpPort, host);
  await Promise.all([once(rpc, "listening"), once(http, "listening")]);
  const urlOf = (server: { address(): AddressInfo | string | null }): string =>
    `http://${host}:${(server.address() as AddressInfo).port}`;
  return {
    rpcUrl: urlOf(rpc),
    httpUrl: urlOf(http),
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

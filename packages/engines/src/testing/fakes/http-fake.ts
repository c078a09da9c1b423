import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { parseExactJson, stringifyExactJson } from "../../server/http/exact-json.ts";

/** A running contract fake of an engine server. */
export interface EngineFake {
  readonly url: string;
  /** Paths that were asked, oldest first. */
  readonly calls: readonly {
    readonly path: string;
    readonly body: unknown;
    readonly headers: IncomingMessage["headers"];
  }[];
  /** Requests whose work runs now. */
  readonly running: number;
  /** From now on every connection breaks at once, as if the process were gone; `false` brings it back. */
  refuse(isGone: boolean): void;
  /** From now on requests for work are taken and never answered, as if the process were stuck; `false` ends that. */
  hang(isStuck: boolean): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Exchange {
  readonly path: string;
  readonly method: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly headers: IncomingMessage["headers"];
  /** Aborted when the client closes the connection. */
  readonly signal: AbortSignal;
  json(status: number, body: unknown): void;
  text(status: number, body: string): void;
  /** Starts or goes on with an event stream; without `data: ` framing when `raw`. */
  event(payload: unknown, options?: { readonly raw?: boolean }): void;
  end(): void;
  /** Breaks the connection off. */
  cut(): void;
}

/** An HTTP server on a free port around one handler; counts what runs, and notices clients that leave. */
export async function startHttpFake(handle: (exchange: Exchange) => Promise<void>): Promise<EngineFake> {
  const calls: { path: string; body: unknown; headers: IncomingMessage["headers"] }[] = [];
  let running = 0;
  let isGone = false;
  let isStuck = false;
  const server = createServer((request, response) => {
    if (isGone) {
      request.socket.destroy();
      return;
    }
    running += 1;
    void (async () => {
      const body = await bodyOf(request);
      const path = (request.url ?? "/").split("?")[0]!;
      calls.push({ path, body, headers: request.headers });
      if (isStuck && request.method === "POST") {
        await once(response, "close");
        return;
      }
      await handle(exchangeOf(request, response, path, body));
    })()
      .catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
        response.end(JSON.stringify({ error: { message: String(error), code: 500 } }));
      })
      .finally(() => (running -= 1));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    get running() {
      return running;
    },
    refuse(next) {
      isGone = next;
      if (isGone) server.closeAllConnections();
    },
    hang(next) {
      isStuck = next;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text === "" ? undefined : parseExactJson(text);
}

function exchangeOf(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  body: unknown,
): Exchange {
  const controller = new AbortController();
  response.on("close", () => {
    if (!response.writableFinished) controller.abort();
  });
  return {
    path,
    body,
    query: new URL(request.url ?? "/", "http://fake").searchParams,
    method: request.method ?? "GET",
    headers: request.headers,
    signal: controller.signal,
    json: (status, value) =>
      void response.writeHead(status, { "content-type": "application/json" }).end(stringifyExactJson(value)),
    text: (status, value) => void response.writeHead(status, { "content-type": "text/plain" }).end(value),
    event(payload, { raw = false } = {}) {
      if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${raw ? String(payload) : stringifyExactJson(payload)}\n\n`);
    },
    end: () => void response.end(),
    cut: () => void response.destroy(),
  };
}

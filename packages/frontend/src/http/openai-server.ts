import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { FrontendError } from "../errors.ts";
import { errorResponse } from "../openai/errors/error-response.ts";
import { blockedClientMs } from "../openai/exchange.ts";
import { createOpenAIApi } from "../openai/openai-api.ts";
import type { OpenAIOptions } from "../openai/openai-options.ts";
import { invalidOption } from "../openai/errors/option-error.ts";
import { nodeExchange } from "./node-exchange.ts";
import { createFlusher } from "./socket-sink.ts";

/** Answers requests of a route that is not OpenAI's: a console, a page of the user's own. */
export type RouteHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface OpenAIServerOptions extends OpenAIOptions {
  /** Handlers by path prefix (`/console`): it and everything below it. They come before the OpenAI routes. */
  readonly routes?: Readonly<Record<string, RouteHandler>>;
  readonly connections?: ConnectionLimits;
}

/** Bounds on connections. All are on by default. */
export interface ConnectionLimits {
  /** Until all headers are there, ms. Default 10 s. */
  readonly headersMs?: number;
  /** Until the whole request is there, ms. Default 30 s. */
  readonly requestMs?: number;
  /** Idle between two requests, ms. Default 15 s. */
  readonly idleMs?: number;
  /** A stream that its client does not read, ms. Default 60 s. */
  readonly blockedMs?: number;
  /** Open connections in all; more are answered 503 and closed. Default 16,384. */
  readonly total?: number;
  /** Open connections from one address. Default 8,192. */
  readonly perAddress?: number;
  /** Header lines of one request. Default 128; their bytes are bounded by Node at 16 KiB. */
  readonly headers?: number;
}

export const defaultConnectionLimits: Required<ConnectionLimits> = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 15_000,
  blockedMs: blockedClientMs,
  total: 16_384,
  perAddress: 8_192,
  headers: 128,
};

export interface ListenOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** Default `127.0.0.1`; `0.0.0.0` or `::` to be reachable from elsewhere. */
  readonly host?: string;
}

export interface OpenAIServer {
  /** Resolves once connections are accepted. */
  listen(options: ListenOptions): Promise<{ readonly port: number; readonly url: string }>;
  /** The node server, to add to it what this package does not know. */
  readonly http: Server;
  readonly activeRequests: number;
  /**
   * Resolves once every model has a worker, with an empty list; after `waitMs` (default 10 s) with the models that have none.
   * Not needed for correctness: a request waits for its model's first worker too.
   */
  ready(waitMs?: number): Promise<readonly string[]>;
  /** `/health` turns 503, new generations are refused, running ones end; after `deadlineMs` (default 30 s) they are ended. */
  drain(deadlineMs?: number): Promise<void>;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * An OpenAI-compatible HTTP server. The engines are the caller's: closing the server closes none of them.
 *
 * @example
 * const server = createOpenAIServer({ models: { tiny: engine } });
 * const { url } = await server.listen({ port: 8000 });
 *
 * @throws FrontendError `FRONTEND_OPTION_INVALID`.
 */
export function createOpenAIServer(options: OpenAIServerOptions): OpenAIServer {
  const limits = { ...defaultConnectionLimits, ...options.connections };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw invalidOption(`connections.${name}`, value, "a positive integer");
  }
  const routes = Object.entries(options.routes ?? {}).sort(([a], [b]) => b.length - a.length);
  for (const [prefix] of routes) {
    if (!/^\/[^/]/.test(prefix) || prefix.endsWith("/"))
      throw invalidOption("routes", prefix, 'a path like "/console"');
  }
  const api = createOpenAIApi(options);
  const flusher = createFlusher();

  const http = createServer({
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: 1000,
    noDelay: true,
  });
  // Counted by us: Node would drop the surplus in silence.
  http.maxHeadersCount = 0;
  const unsent = new Set<ServerResponse>();
  http.on("request", (request, response) => {
    void handle(request, response);
  });
  http.on("clientError", onClientError);
  countConnections(http, limits);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? "";
    const query = target.indexOf("?");
    const path = query < 0 ? target : target.slice(0, query);
    if (request.rawHeaders.length / 2 > limits.headers) {
      replyAndClose(
        response,
        new FrontendError({
          code: "FRONTEND_HEADERS_TOO_LARGE",
          kind: "invalid",
          message: `A request may have ${limits.headers} header lines.`,
        }),
      );
      return;
    }
    if (!target.startsWith("/")) {
      replyAndClose(
        response,
        new FrontendError({
          code: "FRONTEND_REQUEST_MALFORMED",
          kind: "invalid",
          message: "The request target must be a path.",
        }),
      );
      return;
    }
    for (const [prefix, route] of routes) {
      if (path !== prefix && !path.startsWith(`${prefix}/`)) continue;
      try {
        await route(request, response);
      } catch (error) {
        replyAndClose(response, error);
      }
      return;
    }
    unsent.add(response);
    response.once("close", () => unsent.delete(response));
    await api.handle(nodeExchange(request, response, path, flusher, limits.blockedMs));
  }

  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    await api.close();
    http.closeAllConnections();
    await closed;
  };

  return {
    http,
    get activeRequests() {
      return api.activeRequests;
    },
    listen: ({ port, host = "127.0.0.1" }) =>
      new Promise((resolve, reject) => {
        http.once("error", reject);
        http.listen(port, host, () => {
          http.off("error", reject);
          const address = http.address() as AddressInfo;
          const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
          resolve({ port: address.port, url: `http://${shown}:${address.port}` });
        });
      }),
    ready: (waitMs = 10_000) => api.ready(waitMs),
    async drain(deadlineMs = 30_000) {
      const startMs = performance.now();
      await api.drain(deadlineMs);
      // What was generated is not yet at its client: `close` would cut the bytes that wait for the socket.
      await allSent([...unsent], Math.max(0, deadlineMs - (performance.now() - startMs)));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Resolves when these responses are with the system or their clients are gone, or at the deadline. */
async function allSent(responses: readonly ServerResponse[], deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)));
  const sent = responses.map(
    (response) =>
      new Promise<void>((resolve) => {
        if (response.writableFinished) resolve();
        response.once("finish", resolve);
        response.once("close", resolve);
      }),
  );
  await Promise.race([Promise.all(sent), late]);
  clearTimeout(timer);
}

function replyAndClose(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, body } = errorResponse(error);
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    connection: "close",
  });
  response.end(text);
}

/** What the parser refuses: oversized headers, slow requests, smuggling attempts. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  socket.end(rawReply(parserError(error.code)), () => socket.destroy());
}

function parserError(code: string | undefined): FrontendError {
  if (code === "HPE_HEADER_OVERFLOW") {
    return new FrontendError({
      code: "FRONTEND_HEADERS_TOO_LARGE",
      kind: "invalid",
      message: "The request's headers are larger than 16 KiB.",
    });
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new FrontendError({
      code: "FRONTEND_REQUEST_TIMEOUT",
      kind: "invalid",
      message: "The request did not arrive in time.",
    });
  }
  return new FrontendError({
    code: "FRONTEND_REQUEST_MALFORMED",
    kind: "invalid",
    message: "This is not a well-formed HTTP request.",
  });
}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  503: "Service Unavailable",
};

function rawReply(error: FrontendError): string {
  const { status, body, retryAfterSeconds } = errorResponse(error);
  const text = JSON.stringify(body);
  const retry = retryAfterSeconds === undefined ? "" : `retry-after: ${retryAfterSeconds}\r\n`;
  return (
    `HTTP/1.1 ${status} ${reasons[status] ?? ""}\r\ncontent-type: application/json\r\n` +
    `content-length: ${Buffer.byteLength(text)}\r\n${retry}connection: close\r\n\r\n${text}`
  );
}

function countConnections(http: Server, limits: Required<ConnectionLimits>): void {
  const byAddress = new Map<string, number>();
  let open = 0;
  http.on("connection", (socket) => {
    const address = socket.remoteAddress ?? "";
    const count = (byAddress.get(address) ?? 0) + 1;
    byAddress.set(address, count);
    open++;
    socket.once("close", () => {
      open--;
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left === 0) byAddress.delete(address);
      else byAddress.set(address, left);
    });
    if (open <= limits.total && count <= limits.perAddress) return;
    const busy = new FrontendError({
      code: "FRONTEND_OVERLOADED",
      kind: "overloaded",
      message: "Too many open connections.",
    });
    socket.end(rawReply(busy), () => socket.destroy());
  });
}

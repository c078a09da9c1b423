import type { IncomingMessage, ServerResponse } from "node:http";
import type { Feed } from "../feed/feed.ts";
import type { AppFile } from "./static-app.ts";

/** Only itself: no script, style, font or connection from elsewhere, and no frame around it. */
const securityHeaders = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
} as const;

/** Bytes that may wait for a slow page before messages are left out. */
const mostWaitingBytes = 1_048_576;

export interface ConsoleHandlerOptions {
  readonly feed: Feed;
  readonly app: ReadonlyMap<string, AppFile>;
  readonly path: string;
  readonly mostReaders: number;
}

/** Answers everything below the console's path: the page, its files and its feed. */
export function consoleHandler({
  feed,
  app,
  path,
  mostReaders,
}: ConsoleHandlerOptions): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const target = request.url ?? "";
    const query = target.indexOf("?");
    const route = query < 0 ? target : target.slice(0, query);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    if (route === path) {
      // Relative links of the page need the slash.
      response.writeHead(308, { location: `${path}/` }).end();
      return;
    }
    const name = route.slice(path.length + 1);
    if (name === "feed") {
      openFeed(request, response);
      return;
    }
    if (app.size === 0) {
      response.writeHead(503, { "content-type": "text/plain" });
      response.end("The console's page is not bundled here. Run `npm run bundle -w @stator/console`.\n");
      return;
    }
    const file = app.get(name === "" ? "index.html" : name);
    if (file === undefined) {
      response.writeHead(404, { "content-type": "text/plain" }).end("There is no such file here.\n");
      return;
    }
    response.writeHead(200, {
      ...securityHeaders,
      "content-type": file.type,
      "content-length": file.body.length,
      "cache-control": file.isImmutable ? "public, max-age=31536000, immutable" : "no-cache",
    });
    response.end(request.method === "HEAD" ? undefined : file.body);
  };

  function openFeed(request: IncomingMessage, response: ServerResponse): void {
    if (feed.readers >= mostReaders) {
      response
        .writeHead(503, { "retry-after": "10", "content-type": "text/plain" })
        .end("Too many pages are open.\n");
      return;
    }
    response.writeHead(200, {
      ...securityHeaders,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    const stop = feed.subscribe((message) => {
      if (response.writableLength > mostWaitingBytes) return false;
      response.write(`data: ${JSON.stringify(message)}\n\n`);
      return true;
    });
    response.on("close", stop);
    request.on("error", stop);
  }
}

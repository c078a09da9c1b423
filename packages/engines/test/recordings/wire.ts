import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { parseExactJson } from "../../src/server/http/exact-json.ts";

/** One call of an adapter and what the server answered to it. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly status: number;
  readonly contentType: string;
  readonly answer: string;
}

export interface WireServer {
  readonly url: string;
  close(): Promise<void>;
}

/** A server that passes everything on to `target` and writes down what went over the wire. */
export async function startRecorder(target: string, exchanges: Exchange[]): Promise<WireServer> {
  return listen(
    createServer((request, response) => {
      void (async () => {
        const body = await textOf(request);
        const { method = "GET", url: path = "/" } = request;
        const answer = await fetch(new URL(path, target), {
          method,
          headers: forwarded(request),
          ...(method === "GET" ? {} : { body }),
        });
        const contentType = answer.headers.get("content-type") ?? "";
        response.writeHead(answer.status, { "content-type": contentType });
        let text = "";
        const decoder = new TextDecoder();
        for await (const chunk of answer.body ?? []) {
          text += decoder.decode(chunk as Uint8Array, { stream: true });
          response.write(chunk);
        }
        response.end();
        exchanges.push({
          method,
          path,
          ...(body === "" ? {} : { body }),
          status: answer.status,
          contentType,
          answer: path === "/metrics" ? withoutHistograms(text) : text,
        });
      })().catch(() => response.destroy());
    }),
  );
}

/** A server that says what was recorded, and refuses a call that was not: the adapter's requests are part of the fixture. */
export async function startReplay(exchanges: readonly Exchange[]): Promise<WireServer> {
  const left = [...exchanges];
  return listen(
    createServer((request, response) => {
      void (async () => {
        const body = await textOf(request);
        const { method = "GET", url: path = "/" } = request;
        const at = left.findIndex(
          (known) => known.method === method && known.path === path && isSame(known.body ?? "", body),
        );
        if (at < 0) {
          response.writeHead(500, { "content-type": "application/json" });
          response.end(JSON.stringify({ error: { message: `not recorded: ${method} ${path} ${body}` } }));
          return;
        }
        // What was asked once is answered once; what has no body (health, metrics) as often as it is asked.
        const known = body === "" ? left[at]! : left.splice(at, 1)[0]!;
        response.writeHead(known.status, { "content-type": known.contentType });
        response.end(known.answer);
      })();
    }),
  );
}

function isSame(a: string, b: string): boolean {
  if (a === b || a === "" || b === "") return a === b;
  const plain = (text: string): string =>
    JSON.stringify(parseExactJson(text), (key, value: unknown) =>
      key === "rid" ? "" : typeof value === "bigint" ? String(value) : value,
    );
  return plain(a) === plain(b);
}

function forwarded(request: IncomingMessage): Record<string, string> {
  const wanted = ["content-type", "authorization", "x-request-id", "x-data-parallel-rank"];
  return Object.fromEntries(
    wanted.flatMap((name) => {
      const value = request.headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

function withoutHistograms(metrics: string): string {
  return metrics
    .split("\n")
    .filter((line) => !/_bucket|_created|^(# .+ )?(python|process|http)_/.test(line))
    .join("\n");
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

async function listen(server: Server): Promise<WireServer> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

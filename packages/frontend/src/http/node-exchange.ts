import type { IncomingMessage, ServerResponse } from "node:http";
import { extended } from "@stator/core";
import { FrontendError } from "../errors.ts";
import type { Exchange } from "../openai/exchange.ts";
import { createSocketSink, type Flusher } from "./socket-sink.ts";

/** The exchange over node:http. `path` is the request target without its query. */
export function nodeExchange(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  flusher: Flusher,
  blockedMs?: number,
): Exchange {
  return {
    method: request.method ?? "",
    path,
    header(name) {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    readBody: (limitBytes, onBytes) => readBody(request, limitBytes, onBytes),
    onGone(listener) {
      response.once("close", () => {
        if (!response.writableFinished) listener();
      });
    },
    reply(status, headers, body) {
      if (response.destroyed || response.headersSent) return;
      response.writeHead(status, extended(headers, { "content-length": Buffer.byteLength(body) }));
      const content = request.method === "HEAD" ? undefined : body;
      if (content !== undefined && hasUnreadBody(request)) endAfter(request, response, content);
      else response.end(content);
    },
    openEvents(headers) {
      if (!response.destroyed) {
        const ofEvents = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };
        response.writeHead(200, extended(headers, ofEvents));
        response.socket?.setNoDelay(true);
      }
      return createSocketSink(response, flusher, blockedMs);
    },
  };
}

function hasUnreadBody({ complete, headers }: IncomingMessage): boolean {
  return !complete && (headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > 0);
}

/** How long the rest of a body that nobody wants is read, in ms. */
const lingerMs = 2_000;

/**
 * Answers before the body is complete. Were the connection closed at once, the unread rest would reset it, and the client would see
 * that instead of the answer.
 */
function endAfter(request: IncomingMessage, response: ServerResponse, body: string | Uint8Array): void {
  const timer = setTimeout(() => response.end(), lingerMs);
  response.once("close", () => clearTimeout(timer));
  request.once("end", () => response.end());
  response.write(body);
  request.resume();
}

function readBody(
  request: IncomingMessage,
  limitBytes: number,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const tooLarge = (): FrontendError =>
      new FrontendError({
        code: "FRONTEND_BODY_TOO_LARGE",
        kind: "invalid",
        message: `The request body is larger than ${limitBytes} bytes.`,
      });
    if (Number(request.headers["content-length"] ?? 0) > limitBytes) {
      reject(tooLarge());
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (): void => {
      request.off("data", onData);
      request.off("end", onEnd);
      request.off("close", onClose);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      try {
        if (size > limitBytes) throw tooLarge();
        onBytes(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        done();
        request.pause();
        reject(error as Error);
      }
    };
    const onEnd = (): void => {
      done();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
    };
    const onClose = (): void => {
      done();
      reject(
        new FrontendError({
          code: "FRONTEND_CLIENT_GONE",
          kind: "cancelled",
          message: "The client went away before its body was complete.",
        }),
      );
    };
    request.on("data", onData);
    request.on("end", onEnd);
    request.on("close", onClose);
    request.on("error", () => {});
  });
}

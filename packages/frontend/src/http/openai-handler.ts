import { FrontendError } from "../errors.ts";
import { blockedClientMs, eventBufferBytes, type EventSink, type Exchange } from "../openai/exchange.ts";
import { createOpenAIApi } from "../openai/openai-api.ts";
import type { OpenAIOptions } from "../openai/openai-options.ts";

/** A Fetch handler: mount it in Hono, a Next route, Bun, Deno. */
export interface OpenAIHandler {
  (request: Request): Promise<Response>;
  /** Answers new generations 503 and resolves when the running ones have ended, or after `deadlineMs` (default 30 s). */
  drain(deadlineMs?: number): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The OpenAI surface as a function from Request to Response.
 *
 * @example
 * const handler = createOpenAIHandler({ models: { tiny: engine } });
 * export const POST = handler;                       // Next
 * app.all("/v1/*", (c) => handler(c.req.raw));       // Hono
 */
export function createOpenAIHandler(options: OpenAIOptions): OpenAIHandler {
  const api = createOpenAIApi(options);
  const handle = (request: Request): Promise<Response> =>
    new Promise((resolve) => {
      void api.handle(fetchExchange(request, resolve));
    });
  return Object.assign(handle, {
    drain: (deadlineMs = 30_000) => api.drain(deadlineMs),
    close: () => api.close(),
    [Symbol.asyncDispose]: () => api.close(),
  });
}

function fetchExchange(request: Request, respond: (response: Response) => void): Exchange {
  let gone: () => void = () => {};
  return {
    method: request.method,
    path: new URL(request.url).pathname,
    header: (name) => request.headers.get(name) ?? undefined,
    readBody: (limitBytes, onBytes) => readBody(request, limitBytes, onBytes),
    onGone(listener) {
      gone = () => {
        request.signal.removeEventListener("abort", gone);
        listener();
      };
      if (request.signal.aborted) listener();
      else request.signal.addEventListener("abort", gone, { once: true });
    },
    reply(status, headers, body) {
      request.signal.removeEventListener("abort", gone);
      const hasBody = request.method !== "HEAD" && status !== 499;
      respond(new Response(hasBody ? (body as string) : null, { status, headers }));
    },
    openEvents(headers) {
      const { sink, stream } = eventStream(() => gone());
      respond(
        new Response(stream, {
          headers: {
            ...headers,
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
          },
        }),
      );
      return sink;
    },
  };
}

/** An event sink whose bytes are read through a ReadableStream, one chunk per turn of the event loop. */
function eventStream(onGone: () => void): {
  readonly sink: EventSink;
  readonly stream: ReadableStream<Uint8Array>;
} {
  const encoder = new TextEncoder();
  let waiting = "";
  let isScheduled = false;
  let isEnded = false;
  let isGone = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onRoom: (() => void) | undefined;
  let controller!: ReadableStreamDefaultController<Uint8Array>;

  const leave = (): void => {
    if (isGone) return;
    isGone = true;
    waiting = "";
    clearTimeout(timer);
    onRoom?.();
    onGone();
  };
  const flush = (): void => {
    isScheduled = false;
    if (isGone) return;
    if (waiting !== "") controller.enqueue(encoder.encode(waiting));
    waiting = "";
    if (isEnded) controller.close();
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        clearTimeout(timer);
        const resolve = onRoom;
        onRoom = undefined;
        resolve?.();
      },
      cancel: leave,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: eventBufferBytes }),
  );
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };
  return {
    stream,
    sink: {
      write(events, atOnce = false) {
        if (isGone || isEnded) return;
        waiting += events;
        if (atOnce) flush();
        else schedule();
      },
      room() {
        if (isGone || (controller.desiredSize ?? 0) > waiting.length) return undefined;
        flush();
        if ((controller.desiredSize ?? 0) > 0) return undefined;
        return new Promise((resolve) => {
          onRoom = resolve;
          timer = setTimeout(() => {
            controller.error(
              new FrontendError({
                code: "FRONTEND_CLIENT_TOO_SLOW",
                kind: "cancelled",
                message: "The client did not read its stream.",
              }),
            );
            leave();
          }, blockedClientMs);
          timer.unref();
        });
      },
      end() {
        if (isEnded) return;
        isEnded = true;
        schedule();
      },
    },
  };
}

async function readBody(
  request: Request,
  limitBytes: number,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array> {
  const tooLarge = (): FrontendError =>
    new FrontendError({
      code: "FRONTEND_BODY_TOO_LARGE",
      kind: "invalid",
      message: `The request body is larger than ${limitBytes} bytes.`,
    });
  if (Number(request.headers.get("content-length") ?? 0) > limitBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > limitBytes) throw tooLarge();
    onBytes(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

import { silentLogger, StatorError, systemClock, type RequestObserver } from "@stator/core";
import { FrontendError } from "../errors.ts";
import { createOffLoop } from "../text/off-loop.ts";
import { createTextModel, type TextModel } from "../text/text-model.ts";
import { prepareAnswer, streamAnswer, wholeAnswer } from "./answer.ts";
import type { AnswerShape } from "./answer-shape.ts";
import { chatRequestParser, type ParseRequest } from "./chat-request.ts";
import { chatShape } from "./chat-shape.ts";
import { completionRequestParser } from "./completion-request.ts";
import { completionShape } from "./completion-shape.ts";
import { errorResponse } from "./error-response.ts";
import type { EventSink, Exchange } from "./exchange.ts";
import { parseJsonBody } from "./json-body.ts";
import { resolveLimits } from "./limits.ts";
import { modelBody, modelList } from "./model-list.ts";
import type { OpenAIOptions, RequestMeasure } from "./openai-options.ts";
import { requestHeaders } from "./request-headers.ts";

/** The OpenAI surface without a transport: the Fetch handler and the node:http server share it. */
export interface OpenAIApi {
  /** Answers one exchange. Never rejects. */
  handle(exchange: Exchange): Promise<void>;
  readonly activeRequests: number;
  readonly isDraining: boolean;
  /** Takes no new generations, and resolves when the running ones have ended; after `deadlineMs` it ends them. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends what still runs. */
  close(): Promise<void>;
}

interface Endpoint {
  readonly name: string;
  readonly idPrefix: string;
  readonly shape: AnswerShape;
  readonly parse: ParseRequest;
}

export function createOpenAIApi(options: OpenAIOptions): OpenAIApi {
  const limits = resolveLimits(options.limits);
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const offLoop = createOffLoop();
  const createdAt = Math.floor(Date.now() / 1000);
  const models = new Map<string, TextModel>();
  for (const [name, engine] of Object.entries(options.models))
    models.set(name, createTextModel(engine, { offLoop, clock }));
  const observers = options.observers ?? [];

  const endpoints = new Map<string, Endpoint>([
    [
      "/v1/chat/completions",
      { name: "chat_completions", idPrefix: "chatcmpl", shape: chatShape, parse: chatRequestParser(limits) },
    ],
    [
      "/v1/completions",
      {
        name: "completions",
        idPrefix: "cmpl",
        shape: completionShape,
        parse: completionRequestParser(limits),
      },
    ],
  ]);
  const active = new Set<AbortController>();
  let isDraining = false;
  let onIdle: () => void = () => {};
  let heldBytes = 0;

  const listed = (): readonly (readonly [string, TextModel])[] =>
    [...models].filter(([, model]) => model.card !== undefined);

  async function readBody(
    exchange: Exchange,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<unknown> {
    const type = exchange.header("content-type");
    if (type !== undefined && !/^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(type)) {
      throw new FrontendError({
        code: "FRONTEND_MEDIA_TYPE_UNSUPPORTED",
        kind: "invalid",
        message: "The content-type must be application/json.",
      });
    }
    const encoding = exchange.header("content-encoding");
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      throw new FrontendError({
        code: "FRONTEND_MEDIA_TYPE_UNSUPPORTED",
        kind: "invalid",
        message: "Compressed request bodies are not accepted. Send it without content-encoding.",
      });
    }
    const bytes = await exchange.readBody(limits.bodyBytes, onBytes);
    const bodyLimits = { depth: limits.jsonDepth, keys: limits.objectKeys };
    return bytes.length > limits.inlineParseBytes
      ? offLoop.parse(bytes, bodyLimits, signal)
      : parseJsonBody(bytes, bodyLimits);
  }

  async function generate(
    exchange: Exchange,
    endpoint: Endpoint,
    headers: Record<string, string>,
    traceparent: string | undefined,
  ): Promise<void> {
    if (isDraining) throw draining();
    if (active.size >= limits.activeRequests) {
      throw overloaded(`This server works on ${active.size} requests already.`);
    }
    const startMs = clock.now();
    const work = new AbortController();
    active.add(work);
    const deadline = clock.schedule(limits.requestMs, () => work.abort(deadlineError(limits.requestMs)));
    let measure: RequestMeasure | undefined;
    let sink: EventSink | undefined;
    let ownBytes = 0;
    const hold = (bytes: number): void => {
      if (heldBytes + bytes > limits.heldBodyBytes)
        throw overloaded("This server holds as many request bodies as it may.");
      heldBytes += bytes;
      ownBytes += bytes;
    };
    const letGo = (): void => {
      heldBytes -= ownBytes;
      ownBytes = 0;
    };
    try {
      exchange.onGone(() =>
        work.abort(
          new FrontendError({
            code: "FRONTEND_CLIENT_GONE",
            kind: "cancelled",
            message: "The client went away.",
          }),
        ),
      );
      const body = await readBody(exchange, work.signal, hold);
      const request = endpoint.parse(body);
      const model = models.get(request.model);
      if (model === undefined) throw modelNotFound(request.model);
      measure = options.metrics?.startRequest?.({
        model: request.model,
        endpoint: endpoint.name,
        stream: request.stream,
        choices: request.prompts.length * request.n,
        startMs,
      });
      const job = {
        model,
        request: traceparent === undefined ? request : { ...request, text: { ...request.text, traceparent } },
        shape: endpoint.shape,
        head: {
          id: `${endpoint.idPrefix}-${crypto.randomUUID()}`,
          created: Math.floor(Date.now() / 1000),
          model: request.model,
          includeUsage: request.includeUsage,
          logprobs: request.logprobs,
        },
        signal: work.signal,
        onEvent: joined(measure === undefined ? observers : [measure.onEvent, ...observers]),
        abort: (reason: unknown) => work.abort(reason),
      };
      const prepared = await prepareAnswer(job);
      letGo();
      if (request.stream) await streamAnswer(job, prepared, () => (sink = exchange.openEvents(headers)));
      else
        exchange.reply(
          200,
          { ...headers, "content-type": "application/json" },
          JSON.stringify(await wholeAnswer(job, prepared)),
        );
      measure?.end({ status: "success" });
    } catch (thrown) {
      // What an engine throws after our own abort only says that it was aborted; the reason says why.
      const error: unknown =
        work.signal.aborted && StatorError.isInstance(work.signal.reason) ? work.signal.reason : thrown;
      const { status, body } = errorResponse(error, options.overloadStatus);
      const isCancelled = status === 499;
      measure?.end({
        status: isCancelled ? "cancelled" : status === 503 ? "rejected" : "error",
        errorType: body.error.code,
        isClientError: status < 500,
      });
      if (sink === undefined) throw error;
      if (!isCancelled) sink.write(`data: ${JSON.stringify(body)}\n\n`);
      sink.end();
      if (status >= 500)
        logger.warn("A stream failed after it began.", {
          requestId: headers["x-request-id"],
          code: body.error.code,
        });
    } finally {
      letGo();
      deadline.cancel();
      active.delete(work);
      if (active.size === 0) onIdle();
    }
  }

  function replyError(exchange: Exchange, headers: Record<string, string>, error: unknown): void {
    const { status, body, retryAfterSeconds } = errorResponse(error, options.overloadStatus);
    if (status === 500) {
      const { code, message } = StatorError.from(error);
      logger.error("A request failed.", { requestId: headers["x-request-id"], code, message });
    }
    exchange.reply(
      status,
      {
        ...headers,
        "content-type": "application/json",
        ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) }),
        ...(status === 413 || status === 408 || isDraining ? { connection: "close" } : {}),
        ...(status === 405 ? { allow: endpoints.has(exchange.path) ? "POST" : "GET, HEAD" } : {}),
      },
      JSON.stringify(body),
    );
  }

  async function answer(
    exchange: Exchange,
    headers: Record<string, string>,
    traceparent: string | undefined,
  ): Promise<void> {
    const { path, method } = exchange;
    const endpoint = endpoints.get(path);
    if (endpoint !== undefined) {
      if (method !== "POST") throw methodNotAllowed(method);
      await generate(exchange, endpoint, headers, traceparent);
      return;
    }
    const isModel = path.startsWith("/v1/models/");
    if (!isModel && !["/v1/models", "/health", "/live", "/metrics"].includes(path)) throw routeNotFound();
    if (method !== "GET" && method !== "HEAD") throw methodNotAllowed(method);
    const json = (status: number, body: unknown): void =>
      exchange.reply(status, { ...headers, "content-type": "application/json" }, JSON.stringify(body));
    if (isModel) {
      const name = decodedName(path.slice("/v1/models/".length));
      const model = models.get(name);
      if (model?.card === undefined) throw modelNotFound(name);
      json(200, modelBody(name, model, createdAt, options.ownedBy));
    } else if (path === "/v1/models") {
      json(200, modelList(listed(), createdAt, options.ownedBy));
    } else if (path === "/live") {
      json(200, { status: "live" });
    } else if (path === "/health") {
      const ready = listed().map(([name]) => name);
      const status = isDraining ? "draining" : ready.length === 0 && models.size > 0 ? "starting" : "ready";
      json(status === "ready" ? 200 : 503, { status, models: ready, activeRequests: active.size });
    } else {
      if (options.metrics === undefined) throw routeNotFound();
      exchange.reply(
        200,
        { ...headers, "content-type": options.metrics.contentType },
        await options.metrics.expose(),
      );
    }
  }

  return {
    get activeRequests() {
      return active.size;
    },
    get isDraining() {
      return isDraining;
    },
    async handle(exchange) {
      const { headers, traceparent } = requestHeaders(exchange);
      try {
        await answer(exchange, headers, traceparent);
      } catch (error) {
        replyError(exchange, headers, error);
      }
    },
    async drain(deadlineMs) {
      isDraining = true;
      if (active.size === 0) return;
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
      });
      const deadline = clock.schedule(deadlineMs, () => {
        for (const work of active) work.abort(deadlineError(deadlineMs));
      });
      await idle;
      deadline.cancel();
    },
    async close() {
      isDraining = true;
      for (const work of active) work.abort(draining());
      await offLoop.close();
    },
  };
}

function joined(observers: readonly RequestObserver[]): RequestObserver | undefined {
  const [first, ...others] = observers;
  if (others.length === 0) return first;
  return (event) => {
    for (const observer of observers) observer(event);
  };
}

/** The one place where a path is decoded: a name is only ever compared with the registered ones. */
function decodedName(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

function modelNotFound(name: string): FrontendError {
  const shown = JSON.stringify(name.slice(0, 64)) + (name.length > 64 ? " (cut)" : "");
  return new FrontendError({
    code: "FRONTEND_MODEL_NOT_FOUND",
    kind: "notFound",
    message: `The model ${shown} does not exist. GET /v1/models lists those that do.`,
    data: { param: "model" },
  });
}

function routeNotFound(): FrontendError {
  return new FrontendError({
    code: "FRONTEND_ROUTE_NOT_FOUND",
    kind: "notFound",
    message: "There is no such route here.",
  });
}

function methodNotAllowed(method: string): FrontendError {
  return new FrontendError({
    code: "FRONTEND_METHOD_NOT_ALLOWED",
    kind: "invalid",
    message: `${method.slice(0, 16)} is not allowed on this route.`,
  });
}

function deadlineError(ms: number): FrontendError {
  return new FrontendError({
    code: "FRONTEND_DEADLINE",
    kind: "deadline",
    message: `The request did not end within ${ms} ms.`,
  });
}

function overloaded(why: string): FrontendError {
  return new FrontendError({
    code: "FRONTEND_OVERLOADED",
    kind: "overloaded",
    message: `${why} Retry later.`,
  });
}

function draining(): FrontendError {
  return new FrontendError({
    code: "FRONTEND_DRAINING",
    kind: "unavailable",
    message: "This server is shutting down. Another one will take the request.",
  });
}

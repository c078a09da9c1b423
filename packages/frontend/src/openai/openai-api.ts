import { silentLogger, StatorError, systemClock } from "@stator/core";
import { createOffLoop } from "../text/off-loop/off-loop.ts";
import { createTextModel, type TextModel } from "../text/text-model.ts";
import { waitForCard } from "../text/wait-for-card.ts";
import { reasoningFormatNames } from "../text/reasoning/formats.ts";
import { toolCallFormatNames } from "../text/tool-calls/formats/choose-format.ts";
import { methodNotAllowed, modelNotFound, routeNotFound } from "./errors/api-errors.ts";
import { chatRequestParser } from "./request/chat-request.ts";
import { chatShape } from "./answer/chat-shape.ts";
import { completionRequestParser } from "./request/completion-request.ts";
import { completionShape } from "./answer/completion-shape.ts";
import { createCors } from "./cors.ts";
import { invalidOption } from "./errors/option-error.ts";
import { errorResponse } from "./errors/error-response.ts";
import type { Exchange } from "./exchange.ts";
import { createGenerations, type Endpoint, type RequestContext } from "./generations.ts";
import { resolveLimits } from "./limits.ts";
import { modelBody, modelList } from "./model-list.ts";
import type { OpenAIOptions } from "./openai-options.ts";
import { requestHeaders } from "./request/request-headers.ts";

/** The OpenAI surface without a transport: the Fetch handler and the node:http server share it. */
export interface OpenAIApi {
  /** Answers one exchange. Never rejects. */
  handle(exchange: Exchange): Promise<void>;
  readonly activeRequests: number;
  /** Resolves with the models that have no worker yet: none as soon as all have one, else those left after `waitMs`. */
  ready(waitMs: number): Promise<readonly string[]>;
  /** Takes no new generations, and resolves when the running ones have ended; after `deadlineMs` it ends them. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends what still runs. */
  close(): Promise<void>;
}

export function createOpenAIApi(options: OpenAIOptions): OpenAIApi {
  const limits = resolveLimits(options.limits);
  const cors = createCors(options.corsOrigins);
  const logger = options.logger ?? silentLogger;
  const offLoop = createOffLoop();
  const createdAt = Math.floor(Date.now() / 1000);
  const toolCallFormats = checkedFormats(options, "toolCallFormats", toolCallFormatNames);
  const reasoningFormats = checkedFormats(options, "reasoningFormats", reasoningFormatNames);
  const models = new Map<string, TextModel>();
  for (const [name, engine] of Object.entries(options.models)) {
    const clock = options.clock === undefined ? {} : { clock: options.clock };
    const toolCallFormat = toolCallFormats?.[name];
    const reasoningFormat = reasoningFormats?.[name];
    models.set(
      name,
      createTextModel(engine, {
        offLoop,
        workerWaitMs: limits.workerWaitMs,
        ...clock,
        ...(toolCallFormat === undefined ? {} : { toolCallFormat }),
        ...(reasoningFormat === undefined ? {} : { reasoningFormat }),
      }),
    );
  }
  const generations = createGenerations(options, models, limits, offLoop);
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

  const listed = (): readonly (readonly [string, TextModel])[] =>
    [...models].filter(([, model]) => model.card !== undefined);

  function replyError(exchange: Exchange, { headers }: RequestContext, error: unknown): void {
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
        ...(status === 413 || status === 408 || generations.isDraining ? { connection: "close" } : {}),
        ...(status === 405 ? { allow: endpoints.has(exchange.path) ? "POST" : "GET, HEAD" } : {}),
      },
      JSON.stringify(body),
    );
  }

  async function answer(exchange: Exchange, context: RequestContext): Promise<void> {
    const { path, method } = exchange;
    const { headers } = context;
    const endpoint = endpoints.get(path);
    if (endpoint !== undefined) {
      if (method !== "POST") throw methodNotAllowed(method);
      await generations.answer(exchange, endpoint, context);
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
      const status = generations.isDraining
        ? "draining"
        : ready.length === 0 && models.size > 0
          ? "starting"
          : "ready";
      json(status === "ready" ? 200 : 503, { status, models: ready, activeRequests: generations.active });
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
      return generations.active;
    },
    async handle(exchange) {
      if (cors.preflight(exchange)) return;
      const context = requestHeaders(exchange, cors.headers(exchange));
      try {
        await answer(exchange, context);
      } catch (error) {
        replyError(exchange, context, error);
      }
    },
    async ready(waitMs) {
      const { signal } = new AbortController();
      const clock = options.clock ?? systemClock;
      const engines = Object.entries(options.models);
      await Promise.all(engines.map(([, engine]) => waitForCard(engine, waitMs, clock, signal)));
      return engines.filter(([, { card }]) => card === undefined).map(([name]) => name);
    },
    drain: (deadlineMs) => generations.drain(deadlineMs),
    async close() {
      generations.close();
      await offLoop.close();
    },
  };
}

function checkedFormats<K extends "toolCallFormats" | "reasoningFormats">(
  options: OpenAIOptions,
  option: K,
  names: readonly string[],
): OpenAIOptions[K] {
  const known = [...names, "none"];
  for (const [name, format] of Object.entries<string>(options[option] ?? {})) {
    if (!Object.hasOwn(options.models, name)) throw invalidOption(option, name, "by the names of models");
    if (!known.includes(format))
      throw invalidOption(`${option}.${name}`, format, `one of ${known.join(", ")}`);
  }
  return options[option];
}

/** The one place where a path is decoded: a name is only ever compared with the registered ones. */
function decodedName(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

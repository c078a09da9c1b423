import { setMaxListeners } from "node:events";
import { extended, silentLogger, StatorError, systemClock, type RequestObserver } from "@stator/core";
import type { OffLoop } from "../text/off-loop/off-loop.ts";
import type { TextModel } from "../text/text-model.ts";
import { createDecisionHeader } from "./answer/decision-header.ts";
import { prepareAnswer, streamAnswer, wholeAnswer, type AnswerJob } from "./answer/answer.ts";
import type { AnswerShape } from "./answer/answer-shape.ts";
import { clientGone, deadlinePassed, draining, modelNotFound, overloaded } from "./errors/api-errors.ts";
import type { ParseRequest } from "./request/chat-request.ts";
import { errorResponse } from "./errors/error-response.ts";
import type { EventSink, Exchange } from "./exchange.ts";
import type { OpenAILimits } from "./limits.ts";
import type { OpenAIOptions, RequestMeasure } from "./openai-options.ts";
import { invalidOption } from "./errors/option-error.ts";
import { readRequestBody } from "./request/request-body.ts";

/** One of the two generating routes. */
export interface Endpoint {
  readonly name: string;
  readonly idPrefix: string;
  readonly shape: AnswerShape;
  readonly parse: ParseRequest;
}

/** Headers of the answer, and the trace that the request goes on with. */
export interface RequestContext {
  readonly headers: Readonly<Record<string, string>>;
  readonly traceparent: string | undefined;
}

/** All generations of one API: admission, deadlines, measurement, drain. */
export interface Generations {
  /** @throws StatorError when nothing was sent yet; later failures go into the event stream. */
  answer(exchange: Exchange, endpoint: Endpoint, context: RequestContext): Promise<void>;
  readonly active: number;
  readonly isDraining: boolean;
  drain(deadlineMs: number): Promise<void>;
  close(): void;
}

/** Proxies cut a response that is silent for 30 to 60 s. */
const defaultKeepAliveMs = 15_000;
/** How long an engine may take to end aborted work before its client is answered without it, in ms. */
const abortGraceMs = 1000;

export function createGenerations(
  options: OpenAIOptions,
  models: ReadonlyMap<string, TextModel>,
  limits: Required<OpenAILimits>,
  offLoop: OffLoop,
): Generations {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const observers = options.observers ?? [];
  const keepAliveMs = options.keepAliveMs ?? defaultKeepAliveMs;
  if (!Number.isSafeInteger(keepAliveMs) || keepAliveMs < 1)
    throw invalidOption("keepAliveMs", keepAliveMs, "a positive integer");
  const active = new Set<AbortController>();
  let isDraining = false;
  let onIdle: () => void = () => {};
  let heldBytes = 0;

  async function answer(exchange: Exchange, endpoint: Endpoint, context: RequestContext): Promise<void> {
    const startMs = clock.now();
    /** Requests that ended before their model was known count too: refusals are what an operator must see. */
    const unread = (): RequestMeasure | undefined =>
      options.metrics?.startRequest?.({
        model: "unknown",
        endpoint: endpoint.name,
        stream: false,
        choices: 0,
        startMs,
      });
    if (isDraining || active.size >= limits.activeRequests) {
      const error = isDraining
        ? draining()
        : overloaded(`This server works on ${active.size} requests already.`);
      const { body } = errorResponse(error, options.overloadStatus);
      unread()?.end({ status: "rejected", errorType: body.error.code });
      throw error;
    }
    const work = new AbortController();
    // Every choice listens to it, up to `limits.choices`; each takes its listener away.
    setMaxListeners(0, work.signal);
    active.add(work);
    const deadline = clock.schedule(limits.requestMs, () => work.abort(deadlinePassed(limits.requestMs)));
    let measure: RequestMeasure | undefined;
    let sink: EventSink | undefined;
    let ownBytes = 0;
    const hold = (bytes: number): void => {
      if (heldBytes + bytes > limits.heldBodyBytes) {
        throw overloaded("This server holds as many request bodies as it may.");
      }
      heldBytes += bytes;
      ownBytes += bytes;
    };
    const letGo = (): void => {
      heldBytes -= ownBytes;
      ownBytes = 0;
    };

    const run = async (): Promise<void> => {
      const body = await readRequestBody(exchange, limits, offLoop, work.signal, hold);
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
      const { traceparent } = context;
      const decisions = options.explain === true ? createDecisionHeader() : undefined;
      const headers = (): Readonly<Record<string, string>> => ({
        ...context.headers,
        ...decisions?.headers(),
      });
      const job: AnswerJob = {
        model,
        request:
          traceparent === undefined ? request : { ...request, text: extended(request.text, { traceparent }) },
        shape: endpoint.shape,
        head: {
          id: `${endpoint.idPrefix}-${crypto.randomUUID()}`,
          created: Math.floor(Date.now() / 1000),
          model: request.model,
          includeUsage: request.includeUsage,
          logprobs: request.logprobs,
        },
        signal: work.signal,
        clock,
        keepAliveMs,
        onEvent: joined([
          ...(measure === undefined ? [] : [measure.onEvent]),
          ...(decisions === undefined ? [] : [decisions.observer]),
          ...observers,
        ]),
        abort: (reason) => work.abort(reason),
      };
      const prepared = await prepareAnswer(job);
      letGo();
      if (request.stream) {
        await streamAnswer(job, prepared, () => (sink ??= exchange.openEvents(headers())));
        return;
      }
      const whole = JSON.stringify(await wholeAnswer(job, prepared));
      exchange.reply(200, extended(headers(), { "content-type": "application/json" }), whole);
    };

    try {
      exchange.onGone(() => work.abort(clientGone()));
      await withGrace(run(), work.signal);
      measure?.end({ status: "success" });
    } catch (thrown) {
      // What an engine throws after our own abort only says that it was aborted; the reason says why.
      const { reason } = work.signal as { readonly reason: unknown };
      const error: unknown = work.signal.aborted && StatorError.isInstance(reason) ? reason : thrown;
      // From here on the work is over for the client, whatever an engine that ignores its signal still does.
      work.abort(error);
      const { status, body } = errorResponse(error, options.overloadStatus);
      const isCancelled = status === 499;
      const isRejected = status === 503 || status === options.overloadStatus;
      if (status >= 500) measure ??= unread();
      measure?.end({
        status: isCancelled ? "cancelled" : isRejected ? "rejected" : "error",
        errorType: body.error.code,
        isClientError: status < 500,
      });
      if (sink === undefined) throw error;
      if (!isCancelled) sink.write(`data: ${JSON.stringify(body)}\n\n`);
      sink.end();
      if (status >= 500) {
        const fields = { requestId: context.headers["x-request-id"], code: body.error.code };
        logger.warn("A stream failed after it began.", fields);
      }
    } finally {
      letGo();
      deadline.cancel();
      active.delete(work);
      if (active.size === 0) onIdle();
    }
  }

  /** The work's own end, or `abortGraceMs` after the abort for work that does not heed it. */
  async function withGrace(running: Promise<void>, signal: AbortSignal): Promise<void> {
    let release: () => void = () => {};
    const givenUp = new Promise<never>((_, reject) => {
      const onAbort = (): void => {
        const timer = clock.schedule(abortGraceMs, () => reject(signal.reason as Error));
        release = () => timer.cancel();
      };
      release = () => signal.removeEventListener("abort", onAbort);
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      await Promise.race([running, givenUp]);
    } finally {
      release();
      running.catch(() => {});
    }
  }

  return {
    answer,
    get active() {
      return active.size;
    },
    get isDraining() {
      return isDraining;
    },
    async drain(deadlineMs) {
      isDraining = true;
      if (active.size === 0) return;
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
      });
      const deadline = clock.schedule(deadlineMs, () => {
        for (const work of active) work.abort(deadlinePassed(deadlineMs));
      });
      await idle;
      deadline.cancel();
    },
    close() {
      isDraining = true;
      for (const work of active) work.abort(draining());
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

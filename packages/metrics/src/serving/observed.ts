import {
  type Clock,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  StatorError,
  systemClock,
  type TokenBatch,
  wrapEngine,
} from "@stator/core";
import type { RequestInfo, RequestRecorder } from "./request-recorder.ts";
import { tapped } from "./tapped.ts";

export interface ObservedOptions {
  /** Where figures go: a `Metrics`. */
  readonly metrics: { startRequest(info: RequestInfo): RequestRecorder };
  /** Value of the `endpoint` label. Default `generate`. */
  readonly endpoint?: string;
  readonly clock?: Clock;
}

/**
 * An engine whose requests are measured, for servers that are not Stator's own frontend: token times come from its
 * stream, decisions and migrations from its events. Each `generate` counts as one request.
 */
export function observed(engine: Engine, options: ObservedOptions): Engine {
  return wrapEngine(engine, {
    generate: (request, generateOptions) => generate(engine, options, request, generateOptions),
  });
}

function generate(
  engine: Engine,
  { metrics, endpoint, clock = systemClock }: ObservedOptions,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncIterable<TokenBatch> {
  const startMs = clock.now();
  const recorder = metrics.startRequest({
    model: request.model,
    startMs,
    ...(endpoint === undefined ? {} : { endpoint }),
  });
  const { id: requestId, choice, attempt } = request;
  const tell = recorder.onEvent;
  let outputTokens = request.outputIds.length;
  let cachedTokens = 0;
  let reason: "stop" | "length" | "abort" | "cancelled" | "error" = "cancelled";
  let code: string | undefined;
  const stream = engine.generate(request, {
    ...options,
    onEvent: (event) => {
      // Tokens and the end are measured here, where the caller reads them.
      if (event.type !== "firstToken" && event.type !== "tokens" && event.type !== "finished") tell(event);
      options.onEvent?.(event);
    },
  });
  return tapped(stream, {
    onBatch(batch) {
      const count = batch.ids.length;
      cachedTokens = batch.cachedTokens ?? cachedTokens;
      outputTokens += count;
      if (count > 0) tell({ requestId, choice, attempt, atMs: clock.now(), type: "tokens", count });
      if (batch.finish !== undefined) reason = batch.finish.reason;
    },
    onError(error) {
      if (options.signal.aborted) return;
      reason = "error";
      code = StatorError.from(error).code;
    },
    onEnd() {
      const promptTokens = request.promptIds.length;
      const end = { promptTokens, outputTokens, cachedTokens, ...(code === undefined ? {} : { code }) };
      tell({ requestId, choice, attempt, atMs: clock.now(), type: "finished", reason, ...end });
      recorder.end();
    },
  });
}

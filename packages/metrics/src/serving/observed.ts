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

async function* generate(
  engine: Engine,
  { metrics, endpoint, clock = systemClock }: ObservedOptions,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncGenerator<TokenBatch> {
  const startMs = clock.now();
  const recorder = metrics.startRequest({
    model: request.model,
    startMs,
    ...(endpoint === undefined ? {} : { endpoint }),
  });
  const base = { requestId: request.id, choice: request.choice, attempt: request.attempt };
  const tell = recorder.onEvent;
  let outputTokens = request.outputIds.length;
  let cachedTokens = 0;
  let isEnded = false;
  let end: { reason: "stop" | "length" | "abort" | "cancelled" | "error"; code?: string } = {
    reason: "cancelled",
  };
  const finish = (): void => {
    if (isEnded) return;
    isEnded = true;
    tell({
      ...base,
      atMs: clock.now(),
      type: "finished",
      ...end,
      promptTokens: request.promptIds.length,
      outputTokens,
      cachedTokens,
    });
    recorder.end();
  };
  try {
    const stream = engine.generate(request, {
      ...options,
      onEvent: (event) => {
        // Tokens and the end are measured here, where the caller reads them.
        if (event.type !== "firstToken" && event.type !== "tokens" && event.type !== "finished") tell(event);
        options.onEvent?.(event);
      },
    });
    for await (const batch of stream) {
      cachedTokens = batch.cachedTokens ?? cachedTokens;
      outputTokens += batch.ids.length;
      if (batch.ids.length > 0) tell({ ...base, atMs: clock.now(), type: "tokens", count: batch.ids.length });
      if (batch.finish !== undefined) {
        end = { reason: batch.finish.reason };
        // A stream is complete with its final batch: nobody has to come back for what follows it.
        finish();
      }
      yield batch;
    }
  } catch (error) {
    if (!options.signal.aborted) end = { reason: "error", code: StatorError.from(error).code };
    throw error;
  } finally {
    finish();
  }
}

import { SpanKind, trace } from "@opentelemetry/api";
import type { Engine, GenerateOptions, GenerateRequest, TokenBatch } from "@stator/core";
import { tapped } from "../serving/tapped.ts";
import { genAi, own } from "./attributes.ts";
import type { TraceScope } from "./create-tracing.ts";
import { failSpan } from "./span-end.ts";
import { isUnsampled, parentContext } from "./trace-parent.ts";

/** What a worker does for one attempt: until its first token, and from there to the end. */
export function generateOnWorker(
  scope: TraceScope,
  engine: Engine,
  worker: { readonly id?: string; readonly role?: string },
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncIterable<TokenBatch> {
  if (isUnsampled(request.traceparent)) return engine.generate(request, options);
  const { tracer, clock } = scope;
  const parent = parentContext(request.traceparent);
  const startMs = clock.now();
  const span = tracer.startSpan(
    `worker ${request.mode === "prefill" ? "prefill" : "generate"}`,
    {
      kind: SpanKind.SERVER,
      startTime: startMs,
      attributes: {
        [own.requestId]: request.id,
        [own.attempt]: request.attempt,
        [own.mode]: request.mode,
        ...(worker.id === undefined ? {} : { [own.worker]: worker.id }),
        ...(worker.role === undefined ? {} : { [own.role]: worker.role }),
      },
    },
    parent,
  );
  const stream = engine.generate(request, options);
  // What is not sampled costs its start only.
  if (!span.isRecording()) return stream;
  const inside = trace.setSpan(parent, span);
  const stage = (name: string, fromMs: number, toMs: number): void =>
    tracer.startSpan(name, { startTime: fromMs }, inside).end(toMs);
  let firstMs: number | undefined;
  let outputTokens = 0;
  return tapped(stream, {
    onBatch(batch) {
      if (firstMs === undefined) {
        firstMs = clock.now();
        stage("prefill", startMs, firstMs);
      }
      if (batch.cachedTokens !== undefined) span.setAttribute(genAi.cacheReadTokens, batch.cachedTokens);
      outputTokens += batch.ids.length;
    },
    onError(error) {
      if (!options.signal.aborted) failSpan(span, error);
    },
    onEnd() {
      const endMs = clock.now();
      if (firstMs !== undefined && outputTokens > 1) stage("decode", firstMs, endMs);
      span.setAttribute(genAi.outputTokens, outputTokens);
      span.end(endMs);
    },
  });
}

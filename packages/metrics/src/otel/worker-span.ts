import { SpanKind, trace } from "@opentelemetry/api";
import type { Engine, GenerateOptions, GenerateRequest, TokenBatch } from "@stator/core";
import { genAi, own } from "./attributes.ts";
import type { TraceScope } from "./create-tracing.ts";
import { failSpan } from "./span-end.ts";
import { parentContext } from "./trace-parent.ts";

/** What a worker does for one attempt: until its first token, and from there to the end. */
export async function* generateOnWorker(
  scope: TraceScope,
  engine: Engine,
  worker: { readonly id?: string; readonly role?: string },
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncGenerator<TokenBatch> {
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
  const inside = trace.setSpan(parent, span);
  const stage = (name: string, fromMs: number, toMs: number): void =>
    tracer.startSpan(name, { startTime: fromMs }, inside).end(toMs);
  let firstMs: number | undefined;
  let outputTokens = 0;
  const end = (): void => {
    const endMs = clock.now();
    if (firstMs !== undefined && outputTokens > 1) stage("decode", firstMs, endMs);
    span.setAttribute(genAi.outputTokens, outputTokens);
    span.end(endMs);
  };
  try {
    for await (const batch of engine.generate(request, options)) {
      if (firstMs === undefined) {
        firstMs = clock.now();
        stage("prefill", startMs, firstMs);
      }
      if (batch.cachedTokens !== undefined) span.setAttribute(genAi.cacheReadTokens, batch.cachedTokens);
      outputTokens += batch.ids.length;
      // A stream is complete with its final batch: nobody has to come back for what follows it.
      if (batch.finish !== undefined) end();
      yield batch;
    }
  } catch (error) {
    if (!options.signal.aborted) failSpan(span, error);
    throw error;
  } finally {
    if (span.isRecording()) end();
  }
}

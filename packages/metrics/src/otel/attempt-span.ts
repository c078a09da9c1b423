import { SpanKind } from "@opentelemetry/api";
import type { GenerateOptions, GenerateRequest, TokenBatch, WorkerHandle } from "@stator/core";
import { own } from "./attributes.ts";
import type { TraceScope } from "./create-tracing.ts";
import { failSpan } from "./span-end.ts";
import { parentContext, toTraceparent } from "./trace-parent.ts";

/** One attempt at one worker: a sibling of those before it, with a link to each that failed. */
export async function* generateAttempt(
  scope: TraceScope,
  { engine, worker }: WorkerHandle,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncGenerator<TokenBatch> {
  const { tracer, clock, failed } = scope;
  const span = tracer.startSpan(
    request.mode === "prefill" ? "rpc Prefill" : "rpc Generate",
    {
      kind: SpanKind.CLIENT,
      startTime: clock.now(),
      links: failed.links(request),
      attributes: {
        "rpc.system": "connect_rpc",
        [own.worker]: worker.id,
        [own.epoch]: worker.epoch,
        [own.role]: worker.role,
        [own.mode]: request.mode,
        [own.attempt]: request.attempt,
        [own.requestId]: request.id,
      },
    },
    parentContext(request.traceparent),
  );
  let isFinished = false;
  // A stream is complete with its final batch: nobody has to come back for what follows it.
  const end = (): void => span.end(clock.now());
  try {
    const stream = engine.generate({ ...request, traceparent: toTraceparent(span.spanContext()) }, options);
    for await (const batch of stream) {
      // A handoff's consumer may stop here: everything that was asked for is there.
      isFinished ||= batch.finish !== undefined || batch.handoff !== undefined;
      if (batch.finish !== undefined) end();
      yield batch;
    }
    if (!isFinished) failed.add(request, span.spanContext());
  } catch (error) {
    failSpan(span, error);
    if (!isFinished) failed.add(request, span.spanContext());
    throw error;
  } finally {
    if (span.isRecording()) end();
  }
}

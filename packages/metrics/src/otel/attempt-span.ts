import { SpanKind } from "@opentelemetry/api";
import type { GenerateOptions, GenerateRequest, TokenBatch, WorkerHandle } from "@stator/core";
import { tapped } from "../serving/tapped.ts";
import { own } from "./attributes.ts";
import type { TraceScope } from "./create-tracing.ts";
import { failSpan } from "./span-end.ts";
import { isUnsampled, parentContext, toTraceparent } from "./trace-parent.ts";

/** One attempt at one worker: a sibling of those before it, with a link to each that failed. */
export function generateAttempt(
  scope: TraceScope,
  { engine, worker }: WorkerHandle,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncIterable<TokenBatch> {
  if (isUnsampled(request.traceparent)) return engine.generate(request, options);
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
  const stream = engine.generate({ ...request, traceparent: toTraceparent(span.spanContext()) }, options);
  // What is not sampled costs its start only.
  if (!span.isRecording()) return stream;
  let isComplete = false;
  return tapped(stream, {
    onBatch(batch) {
      // A handoff's consumer may stop there: everything that was asked for has come.
      isComplete ||= batch.finish !== undefined || batch.handoff !== undefined;
    },
    onError: (error) => failSpan(span, error),
    onEnd() {
      if (!isComplete) failed.add(request, span.spanContext());
      span.end(clock.now());
    },
  });
}

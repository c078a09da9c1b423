import { type Context, type Span, SpanKind, trace } from "@opentelemetry/api";
import {
  extended,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type RequestEvent,
  type TokenBatch,
} from "@stator/core";
import { tapped } from "../serving/tapped.ts";
import { genAi, own } from "./attributes.ts";
import type { TraceScope } from "./create-tracing.ts";
import { failSpan } from "./span-end.ts";
import { parentContext, toTraceparent } from "./trace-parent.ts";

/** Runs one choice under a span of its own. */
export function generateServed(
  scope: TraceScope,
  engine: Engine,
  request: GenerateRequest,
  options: GenerateOptions,
): AsyncIterable<TokenBatch> {
  const { tracer, clock, failed } = scope;
  const startMs = clock.now();
  const parent = parentContext(request.traceparent);
  const span = tracer.startSpan(
    `generate ${request.model}`,
    {
      kind: SpanKind.SERVER,
      startTime: startMs,
      attributes: {
        [genAi.operation]: "generate_content",
        [genAi.provider]: "stator",
        [genAi.requestModel]: request.model,
        [genAi.inputTokens]: request.promptIds.length,
        [own.requestId]: request.id,
        [own.choice]: request.choice,
      },
    },
    parent,
  );
  const sent = extended(request, { traceparent: toTraceparent(span.spanContext()) });
  // What is not sampled costs its start only.
  if (!span.isRecording()) return engine.generate(sent, options);
  span.setAttributes({
    [genAi.maxTokens]: request.limits.maxTokens,
    [genAi.temperature]: request.sampling.temperature,
    [genAi.seed]: String(request.sampling.seed),
  });
  const describe = eventSpans(scope, span, trace.setSpan(parent, span));
  let outputTokens = 0;
  let lastTokenMs: number | undefined;
  const stream = engine.generate(sent, {
    ...options,
    onEvent: (event) => {
      describe(event);
      options.onEvent?.(event);
    },
  });
  return tapped(stream, {
    onBatch(batch) {
      const nowMs = clock.now();
      if (batch.ids.length > 0) {
        if (lastTokenMs === undefined) {
          span.addEvent("first_token", undefined, nowMs);
          span.setAttribute(genAi.timeToFirstChunk, (nowMs - startMs) / 1000);
          if (nowMs - startMs > scope.keepTtftMs) span.setAttribute(own.keep, true);
        } else if (nowMs - lastTokenMs >= scope.stallMs) {
          span.addEvent("stall", { "stator.stall_ms": nowMs - lastTokenMs }, nowMs);
        }
        lastTokenMs = nowMs;
        outputTokens += batch.ids.length;
      }
      if (batch.cachedTokens !== undefined) span.setAttribute(genAi.cacheReadTokens, batch.cachedTokens);
      if (batch.finish !== undefined) span.setAttribute(genAi.finishReasons, [batch.finish.reason]);
    },
    onError(error) {
      if (options.signal.aborted) return;
      span.setAttribute(own.keep, true);
      failSpan(span, error);
    },
    onEnd() {
      failed.forget(request);
      if (options.signal.aborted) span.setAttribute("stator.cancelled", true);
      span.setAttribute(genAi.outputTokens, outputTokens);
      span.end(clock.now());
    },
  });
}

/** Turns what the graph tells into spans and events under the request's. */
function eventSpans({ tracer }: TraceScope, span: Span, inside: Context): (event: RequestEvent) => void {
  let queuedMs: number | undefined;
  const child = (
    name: string,
    startMs: number,
    endMs: number,
    attributes: Record<string, string | number>,
  ): void => tracer.startSpan(name, { startTime: startMs, attributes }, inside).end(endMs);

  return (event) => {
    switch (event.type) {
      case "queued":
        queuedMs ??= event.atMs;
        return;
      case "routed": {
        const decidedMs = event.atMs - event.decisionMs;
        if (queuedMs !== undefined && decidedMs > queuedMs) child("queue", queuedMs, decidedMs, {});
        queuedMs = undefined;
        child("route", decidedMs, event.atMs, {
          [own.attempt]: event.attempt,
          [own.phase]: event.phase,
          [own.worker]: event.worker,
          [own.policy]: event.policy,
          [own.reason]: event.reason,
          [own.costMs]: event.costMs,
          [own.cachedTokens]: event.cachedTokens,
          [own.candidates]: event.candidates.length,
        });
        return;
      }
      case "transferred":
        child("kv.transfer", event.atMs - event.durationMs, event.atMs, {
          [own.from]: event.from,
          [own.to]: event.to,
          [own.heldTokens]: event.heldTokens,
        });
        return;
      case "migrated":
        span.setAttribute(own.keep, true);
        span.addEvent(
          "migrated",
          {
            "stator.migration.from": event.from,
            "stator.migration.cause": event.cause,
            "stator.migration.outcome": event.outcome,
            "stator.migration.gap_ms": event.gapMs,
          },
          event.atMs,
        );
        return;
      case "prefilled":
        span.addEvent(
          "prefilled",
          { [own.worker]: event.worker, [own.cachedTokens]: event.cachedTokens },
          event.atMs,
        );
        return;
      case "firstToken":
      case "tokens":
      case "finished":
    }
  };
}

import {
  type Context,
  context,
  isSpanContextValid,
  type SpanContext,
  trace,
  TraceFlags,
} from "@opentelemetry/api";

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** The W3C `traceparent` of a span. */
export function toTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Whether the span above was not sampled: then none is made under it, and the request goes on as it is. */
export function isUnsampled(traceparent: string | undefined): boolean {
  // `00-` trace `-` span `-` flags: the lowest bit of the last digit.
  return (
    traceparent !== undefined && (Number.parseInt(traceparent.charAt(54), 16) & TraceFlags.SAMPLED) === 0
  );
}

/** The context under a `traceparent`; the active one where there is none, or it is malformed (W3C Trace Context, 3.2). */
export function parentContext(traceparent: string | undefined): Context {
  const match = traceparent === undefined ? null : pattern.exec(traceparent);
  if (match === null || match[1] === "ff") return context.active();
  const [, , traceId = "", spanId = "", flags = "00"] = match;
  const parent: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(parent) ? trace.setSpanContext(context.active(), parent) : context.active();
}

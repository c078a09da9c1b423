import { type Span, SpanStatusCode } from "@opentelemetry/api";
import { StatorError } from "@stator/core";

/** Marks a span as failed, by code: messages of errors may quote what a client sent. */
export function failSpan(span: Span, error: unknown): void {
  const { code, kind } = StatorError.from(error);
  span.setAttributes({ "error.type": code, "stator.error.kind": kind });
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
}

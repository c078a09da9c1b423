import { StatorError } from "@stator/core";

/** Codes of `@stator/frontend`; each has its paragraph in docs/reference/errors/frontend.md. */
export type FrontendErrorCode =
  | "FRONTEND_OPTION_INVALID"
  | "FRONTEND_BODY_INVALID"
  | "FRONTEND_BODY_TOO_LARGE"
  | "FRONTEND_JSON_TOO_DEEP"
  | "FRONTEND_PARAM_INVALID"
  | "FRONTEND_PARAM_UNSUPPORTED"
  | "FRONTEND_CONTEXT_EXCEEDED"
  | "FRONTEND_MODEL_NOT_FOUND"
  | "FRONTEND_MODEL_NOT_READY"
  | "FRONTEND_ROUTE_NOT_FOUND"
  | "FRONTEND_METHOD_NOT_ALLOWED"
  | "FRONTEND_MEDIA_TYPE_UNSUPPORTED"
  | "FRONTEND_TEMPLATE_FAILED"
  | "FRONTEND_TOKENIZER_UNSUPPORTED"
  | "FRONTEND_TOKENIZER_FAILED"
  | "FRONTEND_STREAM_TRUNCATED"
  | "FRONTEND_OVERLOADED"
  | "FRONTEND_DRAINING"
  | "FRONTEND_DEADLINE"
  | "FRONTEND_CLIENT_GONE"
  | "FRONTEND_CLIENT_TOO_SLOW"
  | "FRONTEND_HEADERS_TOO_LARGE"
  | "FRONTEND_REQUEST_TIMEOUT"
  | "FRONTEND_REQUEST_MALFORMED";

/** `data.param` names the request field at fault; `data.retryAfterMs` says when to come back. */
export class FrontendError extends StatorError<FrontendErrorCode> {
  override readonly name: string = "FrontendError";

  static override isInstance(value: unknown): value is FrontendError {
    return StatorError.isInstance(value) && value.code.startsWith("FRONTEND_");
  }
}

/** The error for one request field that is wrong: OpenAI's `param`. */
export function invalidParam(param: string, message: string): FrontendError {
  return new FrontendError({ code: "FRONTEND_PARAM_INVALID", kind: "invalid", message, data: { param } });
}

import { StatorError, type ErrorKind } from "@stator/core";
import type { FrontendErrorCode } from "../../errors.ts";

/** OpenAI's error types. */
export type OpenAIErrorType =
  "invalid_request_error" | "authentication_error" | "not_found_error" | "overloaded_error" | "server_error";

export interface OpenAIErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: OpenAIErrorType;
    readonly param: string | null;
    readonly code: string;
  };
}

/** An error as HTTP says it. */
export interface ErrorResponse {
  readonly status: number;
  readonly body: OpenAIErrorBody;
  /** When to come back, in whole seconds. */
  readonly retryAfterSeconds?: number;
}

interface Row {
  readonly status: number;
  readonly type: OpenAIErrorType;
  /** The body's `code`; absent: made from the error's own code. */
  readonly code?: string;
}

/** The one table from kinds to HTTP. 499 is never sent: the client is gone. */
const byKind: Readonly<Record<ErrorKind, Row>> = {
  invalid: { status: 400, type: "invalid_request_error" },
  notFound: { status: 404, type: "not_found_error" },
  unauthorized: { status: 401, type: "authentication_error" },
  overloaded: { status: 503, type: "overloaded_error", code: "overloaded" },
  unavailable: { status: 503, type: "server_error", code: "no_workers" },
  deadline: { status: 504, type: "server_error", code: "deadline_exceeded" },
  cancelled: { status: 499, type: "server_error", code: "cancelled" },
  incompatible: { status: 500, type: "server_error" },
  internal: { status: 500, type: "server_error" },
};

/** What HTTP itself has a status or a customary code for. */
const byCode: Readonly<Partial<Record<FrontendErrorCode, Partial<Row>>>> = {
  FRONTEND_BODY_INVALID: { code: "invalid_json" },
  FRONTEND_BODY_TOO_LARGE: { status: 413, code: "request_too_large" },
  FRONTEND_PARAM_INVALID: { code: "invalid_value" },
  FRONTEND_PARAM_UNSUPPORTED: { code: "unsupported_parameter" },
  FRONTEND_CONTEXT_EXCEEDED: { code: "context_length_exceeded" },
  FRONTEND_ROUTE_NOT_FOUND: { code: "unknown_url" },
  FRONTEND_METHOD_NOT_ALLOWED: { status: 405 },
  FRONTEND_MEDIA_TYPE_UNSUPPORTED: { status: 415, code: "unsupported_media_type" },
  FRONTEND_HEADERS_TOO_LARGE: { status: 431 },
  FRONTEND_REQUEST_TIMEOUT: { status: 408, type: "invalid_request_error", code: "request_timeout" },
  FRONTEND_DRAINING: { code: "draining" },
  FRONTEND_STREAM_TRUNCATED: { code: "stream_truncated" },
};

/**
 * Any error as an OpenAI body with its status. What is not a StatorError says nothing of itself to the client.
 *
 * @param overloadStatus status for `overloaded`, for those who expect 529 or 429.
 */
export function errorResponse(error: unknown, overloadStatus = 503): ErrorResponse {
  const known = StatorError.from(error);
  const row = { ...byKind[known.kind], ...byCode[known.code as FrontendErrorCode] };
  const status = known.kind === "overloaded" ? overloadStatus : row.status;
  const param = known.data?.["param"];
  const retryAfterMs = known.data?.["retryAfterMs"];
  const mayRetry = known.kind === "overloaded" || known.kind === "unavailable";
  return {
    status,
    body: {
      error: {
        message:
          known.code === "INTERNAL"
            ? "Something went wrong on our side. The request id in the x-request-id header finds it in the logs."
            : known.message,
        type: row.type,
        param: typeof param === "string" ? param : null,
        code: row.code ?? openAICode(known.code),
      },
    },
    ...(mayRetry
      ? {
          retryAfterSeconds: Math.max(
            1,
            Math.ceil((typeof retryAfterMs === "number" ? retryAfterMs : 1000) / 1000),
          ),
        }
      : {}),
  };
}

/** `ROUTER_REQUEST_QUARANTINED` is `request_quarantined` to a client: which package said it is ours to know. */
function openAICode(code: string): string {
  if (code === "INTERNAL") return "internal_error";
  return code.slice(code.indexOf("_") + 1).toLowerCase();
}

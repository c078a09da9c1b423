import { StatorError, type ErrorData, type ErrorKind } from "@stator/core";

/** Codes of `@stator/router`; each has its paragraph in docs/reference/errors/router.md. */
export type RouterErrorCode =
  | "ROUTER_OPTION_INVALID"
  | "ROUTER_BLOCK_SIZE_MISMATCH"
  | "ROUTER_HASH_SCHEME_MISMATCH"
  | "ROUTER_TOKENIZER_MISMATCH"
  | "ROUTER_NOTHING_CHOSEN"
  | "ROUTER_NO_WORKERS"
  | "ROUTER_OVERLOADED"
  | "ROUTER_ATTEMPT_FAILED"
  | "ROUTER_ATTEMPTS_EXHAUSTED"
  | "ROUTER_RESUME_UNSUPPORTED"
  | "ROUTER_NOT_MIGRATABLE"
  | "ROUTER_REQUEST_QUARANTINED"
  | "ROUTER_REQUEST_DEADLINE"
  | "ROUTER_FIRST_TOKEN_DEADLINE"
  | "ROUTER_PROTOCOL_FAULT"
  | "ROUTER_CLOSED";

const kinds: Readonly<Record<RouterErrorCode, ErrorKind>> = {
  ROUTER_OPTION_INVALID: "invalid",
  ROUTER_BLOCK_SIZE_MISMATCH: "incompatible",
  ROUTER_HASH_SCHEME_MISMATCH: "incompatible",
  ROUTER_TOKENIZER_MISMATCH: "incompatible",
  ROUTER_NOTHING_CHOSEN: "internal",
  ROUTER_NO_WORKERS: "unavailable",
  ROUTER_OVERLOADED: "overloaded",
  ROUTER_ATTEMPT_FAILED: "unavailable",
  ROUTER_ATTEMPTS_EXHAUSTED: "unavailable",
  ROUTER_RESUME_UNSUPPORTED: "unavailable",
  ROUTER_NOT_MIGRATABLE: "unavailable",
  ROUTER_REQUEST_QUARANTINED: "internal",
  ROUTER_REQUEST_DEADLINE: "deadline",
  ROUTER_FIRST_TOKEN_DEADLINE: "deadline",
  ROUTER_PROTOCOL_FAULT: "unavailable",
  ROUTER_CLOSED: "unavailable",
};

/** Every code, for the documentation and its test. */
export const routerErrorCodes: readonly RouterErrorCode[] = Object.keys(kinds) as RouterErrorCode[];

/** What this package throws. `data` names worker and epoch where one is to blame, and `retryAfterMs` where waiting helps. */
export class RouterError extends StatorError<RouterErrorCode> {
  override readonly name: string = "RouterError";

  static override isInstance(value: unknown): value is RouterError {
    return StatorError.isInstance(value) && value.code.startsWith("ROUTER_");
  }
}

/** Makes a `RouterError` whose kind follows from its code. */
export function routerError(
  code: RouterErrorCode,
  message: string,
  data?: ErrorData,
  cause?: unknown,
): RouterError {
  return new RouterError({
    code,
    kind: kinds[code],
    message,
    ...(data === undefined ? {} : { data }),
    ...(cause === undefined ? {} : { cause }),
  });
}

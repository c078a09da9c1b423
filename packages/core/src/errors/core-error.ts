import { StatorError } from "./stator-error.ts";

/** Codes of `@stator/core`; each has its paragraph in docs/reference/errors/core.md. */
export type CoreErrorCode =
  "CORE_OPTION_INVALID" | "CORE_LAYOUT_INVALID" | "CORE_CANCELLED" | "CORE_UNSUPPORTED";

export class CoreError extends StatorError<CoreErrorCode> {
  override readonly name: string = "CoreError";

  static override isInstance(value: unknown): value is CoreError {
    return StatorError.isInstance(value) && value.code.startsWith("CORE_");
  }
}

/** The error for a caller's own abort: `signal.reason` is kept as the cause. */
export function cancelled(signal: AbortSignal): CoreError {
  return new CoreError({
    code: "CORE_CANCELLED",
    kind: "cancelled",
    message: "The caller aborted this work through its signal.",
    cause: signal.reason,
  });
}

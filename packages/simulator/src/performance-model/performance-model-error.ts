import { StatorError } from "@stator/core";
import type { ErrorData } from "@stator/core";

/** Codes of the performance model; each has its paragraph in docs/reference/errors/simulator.md. */
export type PerformanceModelErrorCode =
  | "SIMULATOR_MODEL_UNKNOWN"
  | "SIMULATOR_MODEL_UNSUPPORTED"
  | "SIMULATOR_SYSTEM_UNKNOWN"
  | "SIMULATOR_SYSTEM_INVALID"
  | "SIMULATOR_PARALLELISM_INVALID"
  | "SIMULATOR_QUANTIZATION_UNSUPPORTED"
  | "SIMULATOR_BATCH_INVALID"
  | "SIMULATOR_TABLE_INVALID";

const prefixes: readonly string[] = ["MODEL", "SYSTEM", "PARALLELISM", "QUANTIZATION", "BATCH", "TABLE"];

/** What the performance model refuses: always the caller's input (`invalid`) or a name it lacks (`notFound`). */
export class PerformanceModelError extends StatorError<PerformanceModelErrorCode> {
  override readonly name: string = "PerformanceModelError";

  static override isInstance(value: unknown): value is PerformanceModelError {
    return (
      StatorError.isInstance(value) &&
      prefixes.some((prefix) => value.code.startsWith(`SIMULATOR_${prefix}_`))
    );
  }
}

/** An error of this package; `kind` follows from the code. */
export function performanceModelError(
  code: PerformanceModelErrorCode,
  message: string,
  data?: ErrorData,
): PerformanceModelError {
  return new PerformanceModelError({
    code,
    kind: code.endsWith("_UNKNOWN") ? "notFound" : "invalid",
    message,
    ...(data ? { data } : {}),
  });
}

import { StatorError } from "@stator/core";
import type { ErrorData } from "@stator/core";

/** Codes of `@stator/simulator`; each has its paragraph in docs/reference/errors/simulator.md. */
export type SimulatorErrorCode =
  | "SIMULATOR_MODEL_UNKNOWN"
  | "SIMULATOR_MODEL_UNSUPPORTED"
  | "SIMULATOR_SYSTEM_UNKNOWN"
  | "SIMULATOR_SYSTEM_INVALID"
  | "SIMULATOR_PARALLELISM_INVALID"
  | "SIMULATOR_QUANTIZATION_UNSUPPORTED"
  | "SIMULATOR_BATCH_INVALID"
  | "SIMULATOR_TABLE_INVALID"
  | "SIMULATOR_RUN_INVALID"
  | "SIMULATOR_MEMORY_EXCEEDED";

/** What a model of performance or a simulation refuses: always the caller's input (`invalid`) or a name it lacks (`notFound`). */
export class SimulatorError extends StatorError<SimulatorErrorCode> {
  override readonly name: string = "SimulatorError";

  static override isInstance(value: unknown): value is SimulatorError {
    return StatorError.isInstance(value) && value.code.startsWith("SIMULATOR_");
  }
}

/** An error of this package; `kind` follows from the code. */
export function simulatorError(code: SimulatorErrorCode, message: string, data?: ErrorData): SimulatorError {
  return new SimulatorError({
    code,
    kind: code.endsWith("_UNKNOWN") ? "notFound" : "invalid",
    message,
    ...(data ? { data } : {}),
  });
}

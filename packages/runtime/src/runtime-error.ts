import { StatorError } from "@stator/core";

/** Codes of `@stator/runtime`; each has its paragraph in docs/reference/errors/runtime.md. */
export type RuntimeErrorCode =
  | "RUNTIME_OPTION_INVALID"
  | "RUNTIME_CLOSED"
  | "RUNTIME_ENGINE_WITHOUT_CARD"
  | "RUNTIME_SESSION_CUT"
  | "RUNTIME_SESSION_REFUSED"
  | "RUNTIME_NOT_CONNECTED"
  | "RUNTIME_CALLER_SILENT"
  | "RUNTIME_START_LOST"
  | "RUNTIME_WORKER_SILENT"
  | "RUNTIME_WORKER_STUCK"
  | "RUNTIME_WORKER_UNFIT"
  | "RUNTIME_WORKER_BUSY"
  | "RUNTIME_WORKER_DRAINING"
  | "RUNTIME_WORKER_UNKNOWN"
  | "RUNTIME_CONTRACT_MISMATCH"
  | "RUNTIME_EPOCH_FENCED"
  | "RUNTIME_STREAM_INCOMPLETE"
  | "RUNTIME_REQUEST_TOO_LARGE"
  | "RUNTIME_ARTIFACT_UNKNOWN"
  | "RUNTIME_DISCOVERY_FAILED"
  | "RUNTIME_SERVICE_UNAVAILABLE"
  | "RUNTIME_PROCESS_FAILED"
  | "RUNTIME_QUEUE_FULL"
  | "RUNTIME_QUEUE_FAILED"
  | "RUNTIME_INTERNAL";

export class RuntimeError extends StatorError<RuntimeErrorCode> {
  override readonly name: string = "RuntimeError";

  static override isInstance(value: unknown): value is RuntimeError {
    return StatorError.isInstance(value) && value.code.startsWith("RUNTIME_");
  }
}

import { StatorError } from "@stator/core";

/** Codes of `@stator/engines`; each has its paragraph in docs/reference/errors/engines.md. */
export type EnginesErrorCode =
  | "ENGINES_ADAPTER_UNKNOWN"
  | "ENGINES_ARTIFACT_UNKNOWN"
  | "ENGINES_CLOSED"
  | "ENGINES_CONTEXT_EXCEEDED"
  | "ENGINES_CRASHED"
  | "ENGINES_HANDOFF_FAILED"
  | "ENGINES_HANDOFF_INCOMPATIBLE"
  | "ENGINES_LLAMA_MISSING"
  | "ENGINES_MODEL_INVALID"
  | "ENGINES_OPTION_INVALID"
  | "ENGINES_PROMPT_INVALID"
  | "ENGINES_QUEUE_FULL"
  | "ENGINES_SERVER_BUSY"
  | "ENGINES_SERVER_FAILED"
  | "ENGINES_SERVER_REFUSED"
  | "ENGINES_SERVER_UNREACHABLE"
  | "ENGINES_UNSUPPORTED"
  | "ENGINES_ZMQ_MISSING";

export class EnginesError extends StatorError<EnginesErrorCode> {
  override readonly name: string = "EnginesError";

  static override isInstance(value: unknown): value is EnginesError {
    return StatorError.isInstance(value) && value.code.startsWith("ENGINES_");
  }
}

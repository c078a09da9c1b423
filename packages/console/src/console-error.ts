import { StatorError } from "@stator/core";

/** Codes of `@stator/console`; each has its paragraph in docs/reference/errors/console.md. */
export type ConsoleErrorCode = "CONSOLE_OPTION_INVALID";

export class ConsoleError extends StatorError<ConsoleErrorCode> {
  override readonly name: string = "ConsoleError";

  static override isInstance(value: unknown): value is ConsoleError {
    return StatorError.isInstance(value) && value.code.startsWith("CONSOLE_");
  }
}

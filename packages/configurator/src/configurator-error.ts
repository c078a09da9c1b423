import { StatorError } from "@stator/core";
import type { ErrorData } from "@stator/core";

/** Codes of `@stator/configurator`; each has its paragraph in docs/reference/errors/configurator.md. */
export type ConfiguratorErrorCode =
  | "CONFIGURATOR_OPTION_INVALID"
  | "CONFIGURATOR_DOES_NOT_FIT"
  | "CONFIGURATOR_SLO_UNREACHABLE"
  | "CONFIGURATOR_PAGE_MISSING";

export class ConfiguratorError extends StatorError<ConfiguratorErrorCode> {
  override readonly name: string = "ConfiguratorError";

  static override isInstance(value: unknown): value is ConfiguratorError {
    return StatorError.isInstance(value) && value.code.startsWith("CONFIGURATOR_");
  }
}

/** An error of this package; all are the caller's input. */
export function configuratorError(
  code: ConfiguratorErrorCode,
  message: string,
  data?: ErrorData,
): ConfiguratorError {
  return new ConfiguratorError({ code, kind: "invalid", message, ...(data ? { data } : {}) });
}

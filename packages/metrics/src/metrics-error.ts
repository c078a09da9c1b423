import { StatorError } from "@stator/core";

/** Codes of `@stator/metrics`; each has its paragraph in docs/reference/errors/metrics.md. */
export type MetricsErrorCode =
  | "METRICS_NAME_INVALID"
  | "METRICS_LABEL_INVALID"
  | "METRICS_BUCKETS_INVALID"
  | "METRICS_CONFLICT"
  | "METRICS_OPTION_INVALID"
  | "METRICS_SOURCE_FAILED";

export class MetricsError extends StatorError<MetricsErrorCode> {
  override readonly name: string = "MetricsError";

  static override isInstance(value: unknown): value is MetricsError {
    return StatorError.isInstance(value) && value.code.startsWith("METRICS_");
  }
}

/** Shorthand for the `invalid` errors of this package. */
export function invalid(
  code: Exclude<MetricsErrorCode, "METRICS_SOURCE_FAILED">,
  message: string,
): MetricsError {
  return new MetricsError({ code, kind: "invalid", message });
}

/** Codes of `@stator/cuda-bindings`; each has its paragraph in docs/reference/errors/cuda-bindings.md. */
export type CudaErrorCode =
  | "CUDA_UNAVAILABLE"
  | "CUDA_DRIVER_FAILED"
  | "CUDA_OUT_OF_MEMORY"
  | "CUDA_INVALID"
  | "CUDA_CLOSED"
  | "NVML_UNAVAILABLE"
  | "NVML_FAILED";

export type CudaErrorKind = "unavailable" | "internal" | "overloaded" | "invalid";

const kinds: Readonly<Record<CudaErrorCode, CudaErrorKind>> = {
  CUDA_UNAVAILABLE: "unavailable",
  CUDA_DRIVER_FAILED: "internal",
  CUDA_OUT_OF_MEMORY: "overloaded",
  CUDA_INVALID: "invalid",
  CUDA_CLOSED: "invalid",
  NVML_UNAVAILABLE: "unavailable",
  NVML_FAILED: "internal",
};

// This package stands below core; the brand makes its errors StatorErrors all the same.
const brand: unique symbol = Symbol.for("stator.error");

/** What this package throws. `data.driverCode` is the driver's own name of a failure (`CUDA_ERROR_…`), `data.result` its number. */
export class CudaError extends Error {
  override readonly name: string = "CudaError";
  readonly code: CudaErrorCode;
  readonly kind: CudaErrorKind;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(
    code: CudaErrorCode,
    message: string,
    data?: Readonly<Record<string, unknown>>,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.kind = kinds[code];
    this.data = data;
    Object.defineProperty(this, brand, { value: true });
  }

  static isInstance(value: unknown): value is CudaError {
    const { code } = value instanceof Error ? (value as { code?: unknown }) : {};
    return typeof code === "string" && code in kinds;
  }
}

interface AddonFailure {
  readonly code?: string;
  readonly message?: string;
  readonly result?: number;
}

/** Runs a call of the addon and turns what it throws into a CudaError. */
export function calling<Value>(failed: "CUDA_DRIVER_FAILED" | "NVML_FAILED", call: () => Value): Value {
  try {
    return call();
  } catch (error) {
    throw toCudaError(failed, error);
  }
}

export function toCudaError(failed: "CUDA_DRIVER_FAILED" | "NVML_FAILED", error: unknown): CudaError {
  if (CudaError.isInstance(error)) return error;
  const { code, message = "", result } = error as AddonFailure;
  const data = { driverCode: code, result };
  if (code === "CLOSED" || code === "FORKED") return new CudaError("CUDA_CLOSED", `${message}.`, data, error);
  if (code === "BOUNDS" || code === "NOT_SHAREABLE")
    return new CudaError("CUDA_INVALID", `${message}.`, data, error);
  if (code === "CUDA_ERROR_OUT_OF_MEMORY")
    return new CudaError(
      "CUDA_OUT_OF_MEMORY",
      `${message}. Free device memory or ask for less.`,
      data,
      error,
    );
  const isAbsent = code === "ABSENT" || code === "TOO_OLD" || code === "CUDA_ERROR_NO_DEVICE";
  if (isAbsent)
    return new CudaError(
      failed === "NVML_FAILED" ? "NVML_UNAVAILABLE" : "CUDA_UNAVAILABLE",
      `${message}.`,
      data,
      error,
    );
  return new CudaError(failed, `${message} (${code ?? "unknown"}).`, data, error);
}

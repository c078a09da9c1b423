/**
 * What kind of trouble an error is. Connect codes and HTTP statuses are mapped from it.
 *
 * - `invalid`: the caller's input is wrong; repeating it cannot help.
 * - `notFound`: the named thing does not exist.
 * - `unauthorized`: who asks may not.
 * - `overloaded`: no capacity now; retry later.
 * - `unavailable`: the other side is missing, dead, draining or cut off; retry elsewhere.
 * - `deadline`: our own deadline passed.
 * - `cancelled`: our own caller gave up.
 * - `incompatible`: two sides disagree on a contract, a layout or a digest.
 * - `internal`: a defect here.
 */
export type ErrorKind =
  | "invalid"
  | "notFound"
  | "unauthorized"
  | "overloaded"
  | "unavailable"
  | "deadline"
  | "cancelled"
  | "incompatible"
  | "internal";

/** Plain data that travels with an error: which parameter, which worker, how long to wait. */
export type ErrorData = Readonly<Record<string, unknown>>;

export interface StatorErrorOptions<Code extends string = string> {
  /** Stable, documented, unique over all packages: `UPPER_SNAKE`. */
  readonly code: Code;
  readonly kind: ErrorKind;
  /** What went wrong, which thing, and what to do. */
  readonly message: string;
  readonly cause?: unknown;
  readonly data?: ErrorData;
}

const brand: unique symbol = Symbol.for("stator.error");

/**
 * The base of every error that Stator throws. Recognised by a brand, so that two copies of this package agree.
 *
 * @example
 * if (StatorError.isInstance(error) && error.kind === "overloaded") retryLater(error.data?.retryAfterMs);
 */
export class StatorError<Code extends string = string> extends Error {
  override readonly name: string = "StatorError";
  readonly code: Code;
  readonly kind: ErrorKind;
  readonly data: ErrorData | undefined;

  constructor(options: StatorErrorOptions<Code>) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.kind = options.kind;
    this.data = options.data;
    Object.defineProperty(this, brand, { value: true });
  }

  static isInstance(value: unknown): value is StatorError {
    return value instanceof Error && (value as { [brand]?: boolean })[brand] === true;
  }

  /** Turns anything thrown into a StatorError; what is not one yet becomes `INTERNAL`. */
  static from(value: unknown): StatorError {
    if (StatorError.isInstance(value)) return value;
    const message = value instanceof Error ? value.message : String(value);
    return new StatorError({ code: "INTERNAL", kind: "internal", message, cause: value });
  }
}

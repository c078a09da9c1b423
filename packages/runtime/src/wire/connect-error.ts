import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@stator/contracts";
import { StatorError, type ErrorKind } from "@stator/core";
import { errorFromWire, errorToWire } from "../codec/error-codec.ts";

/** Connect's code for each kind of error: the one table. */
const connectCodes: Readonly<Record<ErrorKind, Code>> = {
  invalid: Code.InvalidArgument,
  notFound: Code.NotFound,
  unauthorized: Code.PermissionDenied,
  overloaded: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  incompatible: Code.FailedPrecondition,
  internal: Code.Internal,
};

/** What a handler throws, so that the caller gets kind, code and data again. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const known = StatorError.from(error);
  return new ConnectError(known.message, connectCodes[known.kind], undefined, [
    { desc: ErrorInfoSchema, value: errorToWire(known) },
  ]);
}

/** The error of ours that a peer sent, if it did: a transport's own trouble has none. */
export function fromConnectError(error: unknown): StatorError | undefined {
  if (StatorError.isInstance(error)) return error;
  if (!(error instanceof ConnectError)) return undefined;
  const [info] = error.findDetails(ErrorInfoSchema);
  return info === undefined ? undefined : errorFromWire(info);
}

import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { TransferService } from "@stator/contracts";
import { StatorError, type ErrorKind } from "@stator/core";

const codes: Readonly<Record<ErrorKind, Code>> = {
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

type Methods = Partial<ServiceImpl<typeof TransferService>>;

/** The same methods, whose errors reach their callers with message and Connect code. */
export function toldToCallers(methods: Methods): Methods {
  const told = Object.entries(methods).map(([name, method]) => [
    name,
    async (...call: readonly unknown[]): Promise<unknown> => {
      try {
        return await (method as (...call: readonly unknown[]) => unknown)(...call);
      } catch (error) {
        if (!StatorError.isInstance(error)) throw error;
        throw new ConnectError(
          `${error.code}: ${error.message}`,
          codes[error.kind],
          undefined,
          undefined,
          error,
        );
      }
    },
  ]);
  return Object.fromEntries(told) as Methods;
}

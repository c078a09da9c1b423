import { StatorError, type ErrorData, type ErrorKind } from "@stator/core";

/** Codes of `@stator/kv-transfer`; each has its paragraph in docs/reference/errors/kv-transfer.md. */
export type TransferErrorCode =
  | "TRANSFER_OPTION_INVALID"
  | "TRANSFER_OUT_OF_BOUNDS"
  | "TRANSFER_LENGTH_MISMATCH"
  | "TRANSFER_WRONG_OWNER"
  | "TRANSFER_REGION_GONE"
  | "TRANSFER_STALE_EPOCH"
  | "TRANSFER_REPOST"
  | "TRANSFER_RELEASED"
  | "TRANSFER_CANCELLED"
  | "TRANSFER_DEADLINE"
  | "TRANSFER_PEER_LOST"
  | "TRANSFER_PATH_UNAVAILABLE"
  | "TRANSFER_TRANSPORT_FAILED"
  | "TRANSFER_UNAUTHORIZED"
  | "TRANSFER_METADATA_INVALID"
  | "TRANSFER_CHECKSUM"
  | "TRANSFER_LEASE_GONE"
  | "TRANSFER_INCOMPATIBLE"
  | "TRANSFER_LIMIT"
  | "TRANSFER_NATIVE_UNAVAILABLE"
  | "TRANSFER_CLOSED";

const kinds: Readonly<Record<TransferErrorCode, ErrorKind>> = {
  TRANSFER_OPTION_INVALID: "invalid",
  TRANSFER_OUT_OF_BOUNDS: "invalid",
  TRANSFER_LENGTH_MISMATCH: "invalid",
  TRANSFER_WRONG_OWNER: "invalid",
  TRANSFER_REGION_GONE: "notFound",
  TRANSFER_STALE_EPOCH: "incompatible",
  TRANSFER_REPOST: "invalid",
  TRANSFER_RELEASED: "invalid",
  TRANSFER_CANCELLED: "cancelled",
  TRANSFER_DEADLINE: "deadline",
  TRANSFER_PEER_LOST: "unavailable",
  TRANSFER_PATH_UNAVAILABLE: "unavailable",
  TRANSFER_TRANSPORT_FAILED: "unavailable",
  TRANSFER_UNAUTHORIZED: "unauthorized",
  TRANSFER_METADATA_INVALID: "invalid",
  TRANSFER_CHECKSUM: "incompatible",
  TRANSFER_LEASE_GONE: "notFound",
  TRANSFER_INCOMPATIBLE: "incompatible",
  TRANSFER_LIMIT: "overloaded",
  TRANSFER_NATIVE_UNAVAILABLE: "unavailable",
  TRANSFER_CLOSED: "unavailable",
};

/** All codes in wire order: a code's number on the wire is its index here plus one. Append only. */
export const transferErrorCodes: readonly TransferErrorCode[] = Object.keys(kinds) as TransferErrorCode[];

/** What this package throws: `data` names the peer, transport, region or descriptor index where one is to blame. */
export class TransferError extends StatorError<TransferErrorCode> {
  override readonly name: string = "TransferError";

  static override isInstance(value: unknown): value is TransferError {
    return StatorError.isInstance(value) && value.code.startsWith("TRANSFER_");
  }
}

/** Makes a `TransferError` whose kind follows from its code. */
export function transferError(
  code: TransferErrorCode,
  message: string,
  data?: ErrorData,
  cause?: unknown,
): TransferError {
  return new TransferError({
    code,
    kind: kinds[code],
    message,
    ...(data === undefined ? {} : { data }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Keeps a `TransferError`, wraps anything else as a failure of the named transport. */
export function asTransferError(value: unknown, transport: string): TransferError {
  if (TransferError.isInstance(value)) return value;
  const reason = value instanceof Error ? value.message : String(value);
  return transferError(
    "TRANSFER_TRANSPORT_FAILED",
    `Transport ${transport} failed: ${reason}.`,
    { transport },
    value,
  );
}

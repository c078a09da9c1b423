import { create } from "@bufbuild/protobuf";
import { ErrorInfoSchema, ErrorKind, type ErrorInfo } from "@stator/contracts";
import { StatorError, type ErrorData, type ErrorKind as Kind } from "@stator/core";
import { names } from "./names.ts";

const kinds = names<Kind, ErrorKind>({
  invalid: ErrorKind.INVALID,
  notFound: ErrorKind.NOT_FOUND,
  unauthorized: ErrorKind.UNAUTHORIZED,
  overloaded: ErrorKind.OVERLOADED,
  unavailable: ErrorKind.UNAVAILABLE,
  deadline: ErrorKind.DEADLINE,
  cancelled: ErrorKind.CANCELLED,
  incompatible: ErrorKind.INCOMPATIBLE,
  internal: ErrorKind.INTERNAL,
});

/** Longest message and data that travel, in characters: a frame holds several errors. */
const longestText = 4096;

export function errorToWire(error: unknown): ErrorInfo {
  const { kind, code, message, data } = StatorError.from(error);
  let dataJson = "";
  if (data !== undefined) {
    try {
      dataJson = JSON.stringify(data, (_key, value: unknown) =>
        typeof value === "bigint" ? value.toString() : value,
      );
    } catch {
      dataJson = "";
    }
  }
  return create(ErrorInfoSchema, {
    kind: kinds.number(kind),
    code,
    message: message.slice(0, longestText),
    dataJson: dataJson.length > longestText ? "" : dataJson,
  });
}

export function errorFromWire(info: ErrorInfo | undefined): StatorError {
  let data: ErrorData | undefined;
  if (info !== undefined && info.dataJson !== "") {
    try {
      const parsed: unknown = JSON.parse(info.dataJson);
      if (typeof parsed === "object" && parsed !== null) data = parsed as ErrorData;
    } catch {
      data = undefined;
    }
  }
  return new StatorError({
    code: info?.code ?? "INTERNAL",
    kind: kinds.word(info?.kind ?? 0, "internal"),
    message: info?.message ?? "The worker ended this request without saying why.",
    ...(data === undefined ? {} : { data }),
  });
}

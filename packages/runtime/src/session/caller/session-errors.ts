import { StatorError, type TokenBatch } from "@stator/core";
import { RuntimeError } from "../../runtime-error.ts";

/** An iterable that throws. */
export function failing(error: StatorError): AsyncIterable<TokenBatch> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) };
}

export function notConnected(
  worker: string,
  observation: "neverStarted" | "callerSilent" = "neverStarted",
): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_NOT_CONNECTED",
    kind: "unavailable",
    message: `There is no session with worker ${worker} now.`,
    data: { worker, observation },
  });
}

export function closedError(worker: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_CLOSED",
    kind: "unavailable",
    message: `The session with worker ${worker} was closed here.`,
    data: { worker },
  });
}

export function cutError(worker: string, cause: unknown): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_SESSION_CUT",
    kind: "unavailable",
    message: `The session with worker ${worker} broke${cause instanceof Error ? `: ${cause.message.replace(/\.$/, "")}` : ""}.`,
    cause,
    data: { worker, observation: "cut" },
  });
}

/** The worker ended the session because this process said nothing: its loop was blocked. */
export function isOurSilence(error: unknown): boolean {
  return StatorError.isInstance(error) && error.data?.["observation"] === "callerSilent";
}

export function startLost(worker: string): RuntimeError {
  return new RuntimeError({
    code: "RUNTIME_START_LOST",
    kind: "unavailable",
    message: `Worker ${worker} read the start of a request and did not answer it.`,
    data: { worker, observation: "neverStarted" },
  });
}

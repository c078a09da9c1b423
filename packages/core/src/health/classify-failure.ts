import { StatorError } from "../errors/stator-error.ts";
import { observationRules, type OutcomeType } from "./observation.ts";

/**
 * What the end of a stream without its final batch says about the worker. Cancelled means that our own signal fired,
 * whatever code the transport gave it: connect-es reports a killed peer as `Canceled`.
 *
 * An error, or the reason of the abort, may name its line of the table itself in `data.observation`: so those above can
 * end an attempt for the worker's fault.
 *
 * @param error what was thrown, or undefined when the stream just ended.
 */
export function classifyFailure(error: unknown, signal: AbortSignal): OutcomeType {
  if (signal.aborted) return namedOutcome(signal.reason) ?? "cancelled";
  if (!StatorError.isInstance(error)) return "cut";
  const named = namedOutcome(error);
  if (named !== undefined) return named;
  switch (error.kind) {
    case "overloaded":
      return "busy";
    case "invalid":
    case "notFound":
      return "clientError";
    case "unauthorized":
      return "identityFailed";
    case "deadline":
      return "deadline";
    case "incompatible":
      return "contractMismatch";
    case "cancelled":
    case "unavailable":
    case "internal":
      return "cut";
  }
}

/** The observation for a line of the table, to be told to a worker's health. */
export function outcomeObservation(
  outcome: OutcomeType,
  cause?: unknown,
): { readonly type: OutcomeType; readonly cause?: unknown; readonly reason: string } {
  const reason = cause instanceof Error ? cause.message : outcome;
  return { type: outcome, cause, reason };
}

function namedOutcome(error: unknown): OutcomeType | undefined {
  const named = StatorError.isInstance(error) ? error.data?.["observation"] : undefined;
  return typeof named === "string" && Object.hasOwn(observationRules, named)
    ? (named as OutcomeType)
    : undefined;
}

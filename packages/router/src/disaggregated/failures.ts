import {
  observationRules,
  StatorError,
  type GenerateRequest,
  type OutcomeType,
  type WorkerEpoch,
} from "@stator/core";

import { isHandoffFailure } from "../pool/reservation.ts";

/** Another worker would say the same. */
export function isCallersFault(error: unknown): boolean {
  return (
    StatorError.isInstance(error) &&
    (error.kind === "invalid" || error.kind === "notFound") &&
    !isHandoffFailure(error)
  );
}

export function isAttemptFailure(error: unknown): error is StatorError {
  return StatorError.isInstance(error) && error.code === "ROUTER_ATTEMPT_FAILED";
}

function ruleOf(error: unknown): (typeof observationRules)[OutcomeType] | undefined {
  const observation = StatorError.isInstance(error)
    ? (error.data?.["observation"] as OutcomeType | undefined)
    : undefined;
  return observation === undefined ? undefined : observationRules[observation];
}

/** The life that ended with this failure. */
export function deathOf(error: unknown): WorkerEpoch | undefined {
  const rule = ruleOf(error);
  const { worker, epoch } = (StatorError.isInstance(error) ? (error.data ?? {}) : {}) as Partial<WorkerEpoch>;
  const isDeath =
    rule?.class === "crashed" || rule?.class === "dead" || rule?.class === "stuck" || rule?.class === "unfit";
  return isDeath && worker !== undefined && epoch !== undefined ? { worker, epoch } : undefined;
}

/** A retried request whose prefill worker died may be the reason: those above must see it before it meets a third one. */
export function mustMigrate(request: GenerateRequest, error: unknown): boolean {
  return request.attempt > 0 && deathOf(error) !== undefined;
}

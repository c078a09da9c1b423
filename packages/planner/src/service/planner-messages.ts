import { create } from "@bufbuild/protobuf";
import {
  PlannerDecisionSchema,
  PlannerLoop,
  PlannerTargetsSchema,
  type PlannerDecision as DecisionMessage,
  type PlannerTargets as TargetsMessage,
} from "@stator/contracts";
import type { Planner, PlannerDecision } from "../control/create-planner.ts";
import { defaultPercentile } from "../decision/plan.ts";

/** @param decidedAtMs milliseconds since the Unix epoch */
export function decisionMessage(decision: PlannerDecision, decidedAtMs: number): DecisionMessage {
  const { id, loop, before, target, plan, observed, forecast } = decision;
  return create(PlannerDecisionSchema, {
    id: BigInt(id),
    loop: loop === "slow" ? PlannerLoop.SLOW : PlannerLoop.FAST,
    before,
    target,
    reasons: plan.reasons.map(({ role, code, message }) => ({ role, code, message })),
    observed: {
      durationMs: observed.durationMs,
      requests: observed.requests,
      inputTokens: observed.inputTokens,
      outputTokens: observed.outputTokens,
      prefixHitRatio: observed.prefixHitRatio,
      ...(observed.ttftMs === undefined ? {} : { ttftMs: observed.ttftMs }),
      ...(observed.itlMs === undefined ? {} : { itlMs: observed.itlMs }),
      ...(observed.queuedPrefillTokens === undefined
        ? {}
        : { queuedPrefillTokens: observed.queuedPrefillTokens }),
      ...(observed.kvUsage === undefined ? {} : { kvUsage: observed.kvUsage }),
    },
    expected: { ...forecast },
    predictedTtftMs: plan.predictedTtftMs,
    predictedItlMs: plan.predictedItlMs,
    headroom: plan.headroom,
    decidedAtMs: BigInt(Math.max(0, Math.round(decidedAtMs))),
  });
}

/** The objectives and limits in force. */
export function targetsMessage({ slo, limits }: Planner): TargetsMessage {
  return create(PlannerTargetsSchema, {
    ttftMs: slo.ttftMs,
    itlMs: slo.itlMs,
    percentile: slo.percentile ?? defaultPercentile,
    gpus: limits.gpus,
    ...(limits.minimum === undefined ? {} : { minimum: limits.minimum }),
    ...(limits.maximum === undefined ? {} : { maximum: limits.maximum }),
  });
}

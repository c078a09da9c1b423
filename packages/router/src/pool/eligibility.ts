import type { GenerateRequest, WorkerHandle } from "@stator/core";

import { missingToResume } from "../migrating/resume-rules.ts";

/** Why a worker may not take a request: for now, or never. */
export interface Refusal {
  readonly reason: string;
  /** Waiting may help: busy, at its limit, suspect, draining, ejected. */
  readonly mayPass: boolean;
  /** It is silent, and may speak again: a request that was let in before waits for that too. */
  readonly mayReturn?: boolean;
}

/**
 * Whether this worker may serve this request now.
 *
 * @param booked requests of this pool there.
 * @param longestContext of all workers of the pool: what none of them could hold, this one need not.
 */
export function refusalOf(
  handle: WorkerHandle,
  request: GenerateRequest,
  booked: number,
  longestContext: number,
): Refusal | undefined {
  const { worker, card, health } = handle;
  if (request.avoid.some((life) => life.worker === worker.id && life.epoch === worker.epoch)) {
    return { reason: "this request failed there", mayPass: false };
  }
  const weights = request.hints?.weightsDigest;
  if (weights !== undefined && weights !== card.weightsDigest) {
    return { reason: "other weights than the stream began with", mayPass: false };
  }
  if (request.adapter !== undefined && !card.adapters.includes(request.adapter)) {
    return { reason: `adapter ${request.adapter} is not loaded`, mayPass: false };
  }
  if (card.contextTokens < neededContext(request, longestContext)) {
    return { reason: `context of ${card.contextTokens} tokens is too small`, mayPass: false };
  }
  const missing = request.outputIds.length === 0 ? undefined : missingToResume(request, card);
  if (missing !== undefined) return { reason: `cannot resume: ${missing}`, mayPass: false };
  if (!health.isSelectable) {
    const { condition } = health;
    const isOver =
      condition === "unfit" || condition === "gone" || condition === "silent" || condition === "incompatible";
    const mayReturn = condition === "silent";
    return { reason: health.reason ?? condition, mayPass: !isOver, mayReturn };
  }
  const limit = worker.capacity.requests + worker.capacity.queue;
  if (booked >= limit) return { reason: `at its limit of ${limit} requests`, mayPass: true };
  return undefined;
}

/** A worker that cannot hold all that may come would end the answer earlier than another: a move must not change the text. */
function neededContext({ promptIds, outputIds, limits, mode }: GenerateRequest, longest: number): number {
  const least = promptIds.length + outputIds.length + 1;
  return mode === "prefill" ? least : Math.max(least, Math.min(promptIds.length + limits.maxTokens, longest));
}

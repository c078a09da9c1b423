import type { Finish, GenerateRequest, ModelCard, ResumeCapabilities } from "@stator/core";

/**
 * How a request that lost its worker after output index `next - 1` ends without another one: its budget or its context
 * is used up, or its last id was an end id whose final frame got lost. Undefined: it must go on.
 */
export function finishLocally(
  request: GenerateRequest,
  next: number,
  lastId: number | undefined,
  card: ModelCard | undefined,
): Finish | undefined {
  const { limits } = request;
  if (lastId !== undefined && next > request.outputIds.length && next >= (limits.minTokens ?? 0)) {
    const endsHere =
      limits.stopIds?.includes(lastId) === true ||
      (limits.ignoreEos !== true && card?.specialIds.eos.includes(lastId) === true);
    if (endsHere) return { reason: "stop", stopId: lastId };
  }
  if (next >= limits.maxTokens) return { reason: "length" };
  if (card !== undefined && request.promptIds.length + next >= card.contextTokens)
    return { reason: "length" };
  return undefined;
}

/** What an engine must be able to carry over for this request. */
export function neededToResume(request: GenerateRequest): (keyof ResumeCapabilities)[] {
  const { sampling, limits } = request;
  const needs: (keyof ResumeCapabilities)[] = [];
  if (sampling.temperature > 0) needs.push("rng");
  if (sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0 || (limits.minTokens ?? 0) > 0)
    needs.push("penalties");
  if (request.grammar !== undefined) needs.push("grammar");
  if (request.topLogprobs !== undefined) needs.push("logprobs");
  return needs;
}

/** The first needed capability that the card lacks. */
export function missingToResume(
  request: GenerateRequest,
  card: ModelCard,
): keyof ResumeCapabilities | undefined {
  return neededToResume(request).find((need) => !card.resume[need]);
}

import type { GenerateRequest, Handoff, ModelCard, TokenBatch } from "@stator/core";
import { EnginesError } from "../errors/engines-error.ts";

/** A request as a server is to see it, or its end where no server is needed. */
export interface Admitted {
  readonly request: GenerateRequest;
  readonly end?: TokenBatch;
}

/**
 * Refuses what the server could only refuse too, ends what has ended already, and cuts the budget to the context: servers
 * answer 400 to a prompt whose budget does not fit.
 *
 * @throws EnginesError `ENGINES_PROMPT_INVALID`, `ENGINES_UNSUPPORTED`, `ENGINES_HANDOFF_INCOMPATIBLE`
 */
export function endWithoutServer(
  request: GenerateRequest,
  url: string,
  card: ModelCard,
  vocabulary: number | undefined,
): Admitted {
  const { promptIds, outputIds, limits } = request;
  const refuse = (code: "ENGINES_PROMPT_INVALID" | "ENGINES_UNSUPPORTED", message: string): never => {
    throw new EnginesError({ code, kind: "invalid", message });
  };
  if (promptIds.length === 0) refuse("ENGINES_PROMPT_INVALID", "The prompt has no tokens.");
  // SGLang 0.5.23 takes such an id to its embedding table and dies of it, with all that it serves.
  if (vocabulary !== undefined && promptIds.some((id) => id >= vocabulary)) {
    const at = promptIds.findIndex((id) => id >= vocabulary);
    refuse(
      "ENGINES_PROMPT_INVALID",
      `Id ${promptIds[at]} at position ${at} of the prompt is beyond the vocabulary of ${vocabulary}; tokenize with this model's tokenizer.`,
    );
  }
  if (request.media !== undefined && request.media.length > 0) {
    refuse("ENGINES_UNSUPPORTED", `The adapter of ${url} passes token prompts only, no media.`);
  }
  if (request.handoff !== undefined) checkHandoff(request.handoff, url, card);
  const maxTokens = Math.min(limits.maxTokens, Math.max(1, card.contextTokens - promptIds.length));
  const lastId = outputIds.at(-1);
  const isEnd =
    lastId !== undefined &&
    outputIds.length >= (limits.minTokens ?? 0) &&
    (limits.stopIds?.includes(lastId) === true ||
      (limits.ignoreEos !== true && card.specialIds.eos.includes(lastId)));
  const firstIndex = outputIds.length;
  if (isEnd) return { request, end: { firstIndex, ids: [], finish: { reason: "stop", stopId: lastId } } };
  if (firstIndex >= maxTokens && firstIndex > 0)
    return { request, end: { firstIndex, ids: [], finish: { reason: "length" } } };
  return {
    request: maxTokens === limits.maxTokens ? request : { ...request, limits: { ...limits, maxTokens } },
  };
}

function checkHandoff(handoff: Handoff, url: string, card: ModelCard): void {
  const isOurs = card.connectors.some(({ name }) => name === handoff.connector);
  if (isOurs && handoff.compatibilityDigest === card.kvLayoutDigest) return;
  throw new EnginesError({
    code: "ENGINES_HANDOFF_INCOMPATIBLE",
    kind: "incompatible",
    message: isOurs
      ? `The handed-over KV has layout ${handoff.compatibilityDigest}; ${url} has ${card.kvLayoutDigest}.`
      : `The handoff is of connector ${handoff.connector}; ${url} has ${card.connectors.map(({ name }) => name).join(", ") || "none"}.`,
  });
}

/**
 * What a server says against a request with a handoff before its first token is about the KV: the source or the way failed,
 * and this server would serve the prompt itself. A connection that broke stays what it is.
 */
export function failedHandoff(request: GenerateRequest, error: unknown): unknown {
  if (request.handoff === undefined || request.mode === "prefill") return error;
  if (!EnginesError.isInstance(error) || error.code !== "ENGINES_SERVER_FAILED") return error;
  if (error.data?.["status"] === undefined && error.data?.["finish"] === undefined) return error;
  return new EnginesError({
    code: "ENGINES_HANDOFF_FAILED",
    kind: "unavailable",
    message: `The KV of request ${request.id} did not arrive: ${error.message}`,
    cause: error,
    data: { ...error.data, observation: "neverStarted" },
  });
}

/** A server that waits for KV is silent because of the other side as a rule: that is no word against it. */
export function unmet(request: GenerateRequest, url: string, silentMs: number): EnginesError {
  return new EnginesError({
    code: "ENGINES_HANDOFF_FAILED",
    kind: "unavailable",
    message: `The KV of request ${request.id} did not arrive: ${url} gave no token from it within ${silentMs} ms.`,
    data: { server: url, observation: "neverStarted" },
  });
}

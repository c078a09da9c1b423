import type { GenerateRequest, ModelCard } from "@stator/core";

import { EnginesError } from "../errors/engines-error.ts";
import { blockConnector } from "./offer-book.ts";

/** The error of a request that an engine with this card can never serve, or undefined. */
export function requestError(
  request: GenerateRequest,
  card: ModelCard,
  kvTokens: number,
): EnginesError | undefined {
  const { promptIds, outputIds, handoff } = request;
  const room = Math.min(card.contextTokens, kvTokens);
  if (promptIds.length === 0) {
    return new EnginesError({
      code: "ENGINES_PROMPT_INVALID",
      kind: "invalid",
      message: "The prompt has no tokens.",
    });
  }
  if (promptIds.length + outputIds.length >= room) {
    return new EnginesError({
      code: "ENGINES_CONTEXT_EXCEEDED",
      kind: "invalid",
      message: `The prompt has ${promptIds.length} tokens; with at least one output token at most ${room} fit.`,
      data: { promptTokens: promptIds.length, contextTokens: room },
    });
  }
  if (request.adapter !== undefined && !card.adapters.includes(request.adapter)) {
    return new EnginesError({
      code: "ENGINES_ADAPTER_UNKNOWN",
      kind: "notFound",
      message: `Adapter ${request.adapter} is not loaded; this engine has ${card.adapters.join(", ") || "none"}.`,
    });
  }
  if (request.grammar !== undefined) {
    return new EnginesError({
      code: "ENGINES_UNSUPPORTED",
      kind: "invalid",
      message: "This engine cannot constrain its output by a grammar.",
    });
  }
  if (request.media !== undefined && request.media.length > 0) {
    return new EnginesError({
      code: "ENGINES_UNSUPPORTED",
      kind: "invalid",
      message: "This engine takes text only.",
    });
  }
  if (handoff !== undefined && handoff.connector !== blockConnector) {
    return new EnginesError({
      code: "ENGINES_HANDOFF_INCOMPATIBLE",
      kind: "incompatible",
      message: `The handoff is of connector ${handoff.connector}; this engine takes ${blockConnector}.`,
    });
  }
  if (handoff !== undefined && handoff.compatibilityDigest !== card.kvLayoutDigest) {
    return new EnginesError({
      code: "ENGINES_HANDOFF_INCOMPATIBLE",
      kind: "incompatible",
      message: `The handed-over KV has layout ${handoff.compatibilityDigest}; this engine has ${card.kvLayoutDigest}.`,
    });
  }
  return undefined;
}

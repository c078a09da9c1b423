import type { GenerateRequest, ModelCard } from "@stator/core";

import { EnginesError } from "../errors/engines-error.ts";
import { requestError } from "../handoff/check-request.ts";

export interface RefusalOptions {
  readonly card: ModelCard;
  readonly vocabularySize: number;
  /** Why this model is served aggregated only, if so. */
  readonly limit: string | undefined;
}

/** The error of a request that this model can never serve, or undefined. */
export function refusal(
  request: GenerateRequest,
  { card, vocabularySize, limit }: RefusalOptions,
): EnginesError | undefined {
  const { mode, handoff, promptIds, outputIds } = request;
  if (limit !== undefined && (mode === "prefill" || handoff !== undefined)) {
    return new EnginesError({ code: "ENGINES_UNSUPPORTED", kind: "invalid", message: limit });
  }
  const isForeign = (id: number): boolean => id >= vocabularySize;
  const foreign = promptIds.find(isForeign) ?? outputIds.find(isForeign);
  if (foreign !== undefined) {
    return new EnginesError({
      code: "ENGINES_PROMPT_INVALID",
      kind: "invalid",
      message: `Token id ${foreign} is not of this model: its vocabulary has ${vocabularySize} ids.`,
    });
  }
  return requestError(request, card, card.contextTokens);
}

import type { GenerateRequest } from "@stator/core";

/** What is known when it is decided whether a prompt is computed apart from its decode. */
export interface WhenInput {
  readonly request: GenerateRequest;
  /** Tokens to compute: the prompt, and the output of a resumed request. */
  readonly promptTokens: number;
  /** Of these, those that no decode worker that could serve holds. */
  readonly uncachedTokens: number;
  /**
   * Of these, those of a request that lost its worker which a prefill worker still holds: a transfer saves their computation.
   * 0 for others, and for less than a block.
   */
  readonly survivingTokens: number;
  /** Prefills that run through this engine now. */
  readonly activePrefills: number;
}

/** Whether to disaggregate. Called for each request, so that what it reads may change while the system runs. */
export type When = (input: WhenInput) => boolean;

/**
 * Disaggregates prompts that leave more than `tokens` to compute, and shorter ones of requests that lost their decode worker
 * when prefill still holds them.
 *
 * @example
 * disaggregated({ prefill, decode, when: uncachedTokensAbove(256) });
 */
export function uncachedTokensAbove(tokens: number): When {
  return ({ uncachedTokens, survivingTokens }) => uncachedTokens > tokens || survivingTokens > 0;
}

/** Every prompt. */
export const always: When = () => true;

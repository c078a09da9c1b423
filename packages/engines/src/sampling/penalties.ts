import type { GenerateRequest } from "@stator/core";

export interface Penalties {
  /** The logit of `id` after all penalties. */
  apply(id: number, logit: number): number;
  /** Counts one more output token. */
  count(id: number): void;
}

/**
 * Presence and frequency penalties count output only (OpenAI); repetition penalty looks at prompt and output (CTRL,
 * arXiv 1909.05858, as vLLM applies it). Undefined when all are off.
 */
export function createPenalties({
  promptIds,
  outputIds,
  sampling,
}: Pick<GenerateRequest, "promptIds" | "outputIds" | "sampling">): Penalties | undefined {
  const { presencePenalty, frequencyPenalty, repetitionPenalty } = sampling;
  if (presencePenalty === 0 && frequencyPenalty === 0 && repetitionPenalty === 1) return undefined;

  const counts = new Map<number, number>();
  const prompt = new Set<number>(repetitionPenalty === 1 ? [] : promptIds);
  const count = (id: number): void => {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  };
  for (const id of outputIds) count(id);

  return {
    count,
    apply(id, logit) {
      const seen = counts.get(id) ?? 0;
      let value = logit;
      if (repetitionPenalty !== 1 && (seen > 0 || prompt.has(id))) {
        value = value > 0 ? value / repetitionPenalty : value * repetitionPenalty;
      }
      return seen === 0 ? value : value - presencePenalty - frequencyPenalty * seen;
    },
  };
}

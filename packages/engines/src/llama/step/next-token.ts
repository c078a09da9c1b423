import type { ControlledEvaluateInputItem, LlamaContextSequence, Token } from "node-llama-cpp";
import type { TokenLogprob } from "@stator/core";

import { logprobOf } from "../../sampling/logprob.ts";
import type { Logits, Sampler } from "../../sampling/sampler.ts";

export interface NextTokenOptions {
  readonly vocabularySize: number;
  readonly sampler: Sampler;
  /** Absent: no log probabilities. */
  readonly topLogprobs: number | undefined;
  readonly hasBias: boolean;
  /** Evaluates at least two tokens, the last one of before again if need be: one alone runs through another kernel. */
  readonly isExact: boolean;
}

interface NextToken {
  readonly id: number;
  readonly logprob: TokenLogprob | undefined;
}

/** Evaluates `ids` on a sequence and chooses the token after them. */
export type EvaluateNext = (sequence: LlamaContextSequence, ids: readonly number[]) => Promise<NextToken>;

/** Above this vocabulary, sampling looks at so many best candidates only: the tail has no mass, but costs milliseconds. */
const candidates = 1_024;
const largestWholeVocabulary = 8_192;
/** The smallest positive F32: probabilities below are reported as 0. */
const leastProbability = 1.4e-45;

/**
 * Plain greedy leaves the argmax to llama.cpp. Everything else is chosen here from the probabilities that llama.cpp
 * reports, by our own sampler: its draws are keyed by position, so another engine can go on with them.
 */
export function createEvaluateNext({
  vocabularySize,
  sampler,
  topLogprobs,
  hasBias,
  isExact,
}: NextTokenOptions): EvaluateNext {
  const isNativeChoice = sampler.isPlainGreedy;
  const needsProbabilities = !isNativeChoice || topLogprobs !== undefined;
  const isWhole = vocabularySize <= largestWholeVocabulary || hasBias || isNativeChoice;
  const generateNext = {
    token: true,
    probabilities: needsProbabilities,
    options: isWhole ? { temperature: 0 } : { temperature: 1, topK: candidates, topP: 1, minP: 0, seed: 0 },
  };
  const whole = new Float64Array(isWhole ? vocabularySize : 0);

  const logitsOf = (probabilities: ReadonlyMap<Token, number>): Logits => {
    if (isWhole) {
      whole.fill(-Infinity);
      for (const [id, probability] of probabilities)
        whole[id] = Math.log(Math.max(probability, leastProbability));
      return { values: whole, count: vocabularySize };
    }
    const ids = Uint32Array.from(probabilities.keys()).sort();
    const values = Float64Array.from(ids, (id) =>
      Math.log(Math.max(probabilities.get(id as Token)!, leastProbability)),
    );
    return { ids, values, count: ids.length };
  };

  return async (sequence, newIds) => {
    const ids = isExact && newIds.length === 1 ? [...(await takeBackLast(sequence)), ...newIds] : newIds;
    const last = ids.length - 1;
    const input = ids.map((id, i): ControlledEvaluateInputItem =>
      i === last ? [id as Token, { generateNext }] : (id as Token),
    );
    const results = await sequence.controlledEvaluate(input);
    const next = results[last]?.next;
    const native = next?.token;
    if (next === undefined || native === undefined || native === null)
      throw new Error("llama.cpp returned no token.");
    if (!needsProbabilities) {
      sampler.record(native);
      return { id: native, logprob: undefined };
    }
    const logits = logitsOf(next.probabilities ?? new Map<Token, number>());
    if (isNativeChoice) {
      sampler.record(native);
      return { id: native, logprob: logprobOf(logits, native, topLogprobs ?? 0) };
    }
    const { id, logprob } = sampler.next(logits);
    return { id, logprob };
  };
}

/** Removes the last token of a sequence from its KV, and gives it. */
async function takeBackLast(sequence: LlamaContextSequence): Promise<Token[]> {
  const end = sequence.nextTokenIndex;
  if (end === 0) return [];
  const token = sequence.contextTokens[end - 1]!;
  await sequence.eraseContextTokenRanges([{ start: end - 1, end }]);
  return [token];
}

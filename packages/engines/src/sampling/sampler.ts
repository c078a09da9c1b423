import type { GenerateRequest, TokenLogprob } from "@stator/core";

import { createCounterRandom } from "./counter-random.ts";
import { logprobOf } from "./logprob.ts";
import { createPenalties } from "./penalties.ts";

/** Logits of the next token, over a whole vocabulary or over candidates. The sampler does not keep or change them. */
export interface Logits {
  /** Token ids, one per value. Absent: value `i` belongs to id `i`. */
  readonly ids?: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  readonly count: number;
}

export interface Chosen {
  readonly id: number;
  readonly logprob?: TokenLogprob | undefined;
}

export interface Sampler {
  /** Chooses the token of the next output index, and counts it as output. */
  next(logits: Logits): Chosen;
  /** Whether the choice is the plain argmax: an engine may then take its own greedy path and only `record` ids. */
  readonly isPlainGreedy: boolean;
  /** Counts `id` as the next output without choosing. */
  record(id: number): void;
}

export interface SamplerOptions {
  readonly request: Pick<
    GenerateRequest,
    "choice" | "promptIds" | "outputIds" | "sampling" | "limits" | "topLogprobs"
  >;
  /** Ids that end a generation: banned before `minTokens` outputs, and always under `ignoreEos`. */
  readonly endIds: readonly number[];
}

/**
 * Chooses tokens as vLLM does: bias and bans, penalties, temperature, min_p, top_k, top_p, then one draw. The draw is
 * keyed by (seed, choice, absolute output index) and penalties count `outputIds` as output, so a resumed request goes
 * on exactly where it stopped. Log probabilities are those of the raw logits. Equal logits: the first one wins.
 */
export function createSampler({ request, endIds }: SamplerOptions): Sampler {
  const { sampling, limits, topLogprobs } = request;
  const { temperature, topP, topK, minP } = sampling;
  const minTokens = limits.minTokens ?? 0;
  const alwaysBanned = limits.ignoreEos === true ? endIds : [];
  const bannedEarly =
    minTokens > request.outputIds.length ? [...new Set([...endIds, ...(limits.stopIds ?? [])])] : [];
  const bias =
    sampling.logitBias !== undefined && sampling.logitBias.size > 0 ? sampling.logitBias : undefined;
  const penalties = createPenalties(request);
  const random = createCounterRandom(sampling.seed, request.choice);
  const isGreedy = temperature <= 0 || topK === 1;
  const isFiltered = topK > 0 || topP < 1;
  let index = request.outputIds.length;
  let adjusted = new Float64Array(0);
  let weights = new Float64Array(0);

  const adjust = ({ ids, values, count }: Logits): ArrayLike<number> => {
    const banned = index < minTokens ? bannedEarly : alwaysBanned;
    if (banned.length === 0 && bias === undefined && penalties === undefined) return values;
    if (adjusted.length < count) adjusted = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const id = ids === undefined ? i : ids[i]!;
      let value = values[i]!;
      if (bias !== undefined) value += bias.get(id) ?? 0;
      if (penalties !== undefined) value = penalties.apply(id, value);
      adjusted[i] = banned.includes(id) ? -Infinity : value;
    }
    return adjusted;
  };

  const choose = (logits: Logits): number => {
    const values = adjust(logits);
    let best = 0;
    for (let i = 1; i < logits.count; i++) if (values[i]! > values[best]!) best = i;
    if (isGreedy) return best;

    const maximum = values[best]!;
    if (weights.length < logits.count) weights = new Float64Array(logits.count);
    let total = 0;
    for (let i = 0; i < logits.count; i++) {
      const weight = Math.exp((values[i]! - maximum) / temperature);
      weights[i] = weight < minP ? 0 : weight;
      total += weights[i]!;
    }
    if (isFiltered) total = keepTop(weights, logits.count, total, topK, topP);
    let left = random(index) * total;
    let last = best;
    for (let i = 0; i < logits.count; i++) {
      if (weights[i] === 0) continue;
      last = i;
      left -= weights[i]!;
      if (left < 0) break;
    }
    return last;
  };

  const record = (id: number): void => {
    penalties?.count(id);
    index++;
  };

  return {
    isPlainGreedy:
      isGreedy &&
      bias === undefined &&
      penalties === undefined &&
      alwaysBanned.length === 0 &&
      bannedEarly.length === 0,
    record,
    next(logits) {
      const chosen = choose(logits);
      const id = logits.ids === undefined ? chosen : logits.ids[chosen]!;
      record(id);
      return topLogprobs === undefined ? { id } : { id, logprob: logprobOf(logits, chosen, topLogprobs) };
    },
  };
}

/** Up to so many candidates, sorting in place beats building an array. */
const fewCandidates = 64;
const few = new Int32Array(fewCandidates);

/** Indices of the positive weights, largest first, the first of equals first; and how many there are. */
function descending(weights: Float64Array, count: number): [order: ArrayLike<number>, length: number] {
  if (count > fewCandidates) {
    const order: number[] = [];
    for (let i = 0; i < count; i++) if (weights[i]! > 0) order.push(i);
    order.sort((a, b) => weights[b]! - weights[a]! || a - b);
    return [order, order.length];
  }
  let length = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    let at = length++;
    for (; at > 0 && weights[few[at - 1]!]! < weight; at--) few[at] = few[at - 1]!;
    few[at] = i;
  }
  return [few, length];
}

/** Zeroes all weights outside the `topK` largest and then outside the nucleus of mass `topP`; returns what is left. */
function keepTop(weights: Float64Array, count: number, total: number, topK: number, topP: number): number {
  const [order, length] = descending(weights, count);
  let kept = topK > 0 ? Math.min(topK, length) : length;
  if (kept < length) {
    total = 0;
    for (let i = 0; i < kept; i++) total += weights[order[i]!]!;
  }
  let mass = 0;
  for (let i = 0; i < kept; i++) {
    mass += weights[order[i]!]!;
    if (topP < 1 && mass >= topP * total) kept = i + 1;
  }
  for (let i = kept; i < length; i++) weights[order[i]!] = 0;
  return mass;
}

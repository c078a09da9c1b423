import type { Candidate, Policy } from "../selector/selector.ts";
import { softmaxIndex } from "./softmax.ts";

export interface Dynamo04Options {
  /** Weight of prefill blocks against decode blocks. Default 1. */
  readonly overlapWeight?: number;
  /** Default 0. */
  readonly temperature?: number;
}

/**
 * The cost of NVIDIA Dynamo 0.4 (`kv_router/scheduler.rs`), for comparison and migration:
 * weight * (tokens being prefilled there + own uncached tokens) / block + decode blocks; lowest wins, ties at random.
 */
export function dynamo04(options: Dynamo04Options = {}): Policy {
  const { overlapWeight = 1, temperature = 0 } = options;
  const cost = (c: Candidate): number =>
    (overlapWeight * (c.queuedPrefillTokens + c.promptTokens - c.cachedTokens)) / c.blockTokens +
    c.decodeBlocks;
  return function dynamo04({ candidates, random }) {
    const costs = candidates.map(cost);
    if (temperature > 0) return candidates[softmaxIndex(costs, temperature, random())];
    const least = costs.reduce((a, b) => Math.min(a, b), Infinity);
    const best = candidates.filter((_, i) => costs[i] === least);
    return best[Math.floor(random() * best.length)];
  };
}

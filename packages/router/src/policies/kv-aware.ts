import type { Candidate, Policy } from "../selector/selector.ts";
import { lowest } from "./lowest.ts";
import { softmaxIndex } from "./softmax.ts";

export interface KvAwareOptions {
  /** Spread of choices: 0 always takes the lowest cost, 1 is nearly indifferent. Default 0. */
  readonly temperature?: number;
  /** Milliseconds added per decoding request, for engines whose decode slows more than was measured. Default 0. */
  readonly perActiveRequestMs?: number;
}

/**
 * The lowest estimated cost in milliseconds: queue, own prefill, transfer, tier reads, decode pressure. Costs are
 * `Candidate.costMs`; the selector's `cost` options weigh them.
 */
export function kvAware(options: KvAwareOptions = {}): Policy {
  const { temperature = 0, perActiveRequestMs = 0 } = options;
  const cost = (candidate: Candidate): number =>
    candidate.costMs + perActiveRequestMs * candidate.activeRequests;
  return function kvAware({ candidates, random }) {
    if (temperature === 0) return lowest(candidates, cost);
    return candidates[softmaxIndex(candidates.map(cost), temperature, random())];
  };
}

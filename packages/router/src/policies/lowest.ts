import type { Candidate } from "../selector/selector.ts";

/** The candidate with the lowest cost; among equals the least loaded, then the one that joined first. */
export function lowest(
  candidates: readonly Candidate[],
  cost: (candidate: Candidate) => number,
): Candidate | undefined {
  let best: Candidate | undefined;
  let bestCost = Infinity;
  for (const candidate of candidates) {
    const value = cost(candidate);
    if (value > bestCost || Number.isNaN(value)) continue;
    if (value === bestCost && best !== undefined && candidate.activeRequests >= best.activeRequests) continue;
    best = candidate;
    bestCost = value;
  }
  return best;
}

import type { Filter, Pick, Policy, Score } from "../selector/selector.ts";

export interface PolicyParts {
  /** Names the policy in explanations. Default `composed`. */
  readonly name?: string;
  /** Default: everything passes. */
  readonly filter?: Filter;
  /** Default: `costMs`. */
  readonly score?: Score;
  /** Default: the lowest, the first among equals. */
  readonly pick?: Pick;
}

const lowestIndex: Pick = (costs) => costs.reduce((best, cost, i) => (cost < costs[best]! ? i : best), 0);

/** A policy out of the three seams. */
export function composePolicy(parts: PolicyParts): Policy {
  const { name = "composed", filter, score = (candidate) => candidate.costMs, pick = lowestIndex } = parts;
  const policy: Policy = (input) => {
    const candidates =
      filter === undefined
        ? input.candidates
        : input.candidates.filter((c) => filter(c, input.request) === undefined);
    if (candidates.length === 0) return undefined;
    const narrowed = { ...input, candidates };
    return candidates[
      pick(
        candidates.map((candidate) => score(candidate, input.request)),
        narrowed,
      )
    ];
  };
  Object.defineProperty(policy, "name", { value: name });
  return policy;
}

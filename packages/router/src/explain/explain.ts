import type { RoutedCandidate } from "@stator/core";
import type { Candidate, Decision, Explanation } from "../selector/selector.ts";

export interface ExplainInput {
  readonly decision: Decision;
  readonly candidates: readonly Candidate[];
  readonly excluded: ReadonlyMap<Candidate, string>;
  readonly decisionMs: number;
}

/** A decision as plain data: every candidate with its terms, or why it was out. */
export function explain(input: ExplainInput): Explanation {
  const { decision, candidates, excluded, decisionMs } = input;
  return {
    policy: decision.policy,
    promptTokens: decision.request.promptTokens,
    candidates: [...candidates.map(costed), ...[...excluded].map(([candidate, why]) => out(candidate, why))],
    reason: decision.reason,
    decisionMs,
  };
}

function costed(candidate: Candidate): RoutedCandidate {
  return {
    worker: candidate.worker,
    rank: candidate.rank,
    cachedTokens: candidate.cachedTokens,
    costMs: candidate.costMs,
    terms: {
      queue: candidate.queueMs - candidate.leakMs,
      ...(candidate.leakMs > 0 ? { leak: candidate.leakMs } : {}),
      prefill: candidate.prefillMs,
      transfer: candidate.transferMs,
      tier: candidate.tierMs,
      decode: candidate.decodeMs,
    },
  };
}

function out(candidate: Candidate, excluded: string): RoutedCandidate {
  return { worker: candidate.worker, rank: candidate.rank, cachedTokens: 0, costMs: 0, terms: {}, excluded };
}

/** One sentence on why a decision fell as it did. */
export function reasonOf(
  policy: string,
  picked: Candidate | undefined,
  candidates: readonly Candidate[],
  excluded: ReadonlyMap<Candidate, string>,
): string {
  if (candidates.length === 0)
    return excluded.size === 0 ? "no workers" : `all ${excluded.size} excluded: ${counted(excluded)}`;
  if (picked === undefined) return `${policy} refused all ${candidates.length} candidates`;
  let cheaper = 0;
  let next: Candidate | undefined;
  for (const candidate of candidates) {
    if (candidate === picked) continue;
    if (candidate.costMs < picked.costMs) cheaper++;
    else if (next === undefined || candidate.costMs < next.costMs) next = candidate;
  }
  const of = `${candidates.length} candidate${candidates.length === 1 ? "" : "s"}`;
  if (cheaper > 0) return `${policy} took it over ${cheaper} cheaper of ${of}`;
  if (next === undefined) return "the only candidate";
  return `lowest cost of ${of}, ${Math.round(next.costMs - picked.costMs)} ms below the next`;
}

function counted(excluded: ReadonlyMap<Candidate, string>): string {
  const counts = new Map<string, number>();
  for (const why of excluded.values()) counts.set(why, (counts.get(why) ?? 0) + 1);
  return [...counts].map(([why, count]) => (count === 1 ? why : `${why} (${count})`)).join(", ");
}

import type { RequestEvent, RequestObserver } from "@stator/core";

/** Header that tells how a request was routed. */
const decisionHeader = "x-stator-decision";

/** Candidates and decisions that one header tells: servers and proxies refuse headers of more than 8 KiB in all. */
const mostCandidates = 8;
const mostDecisions = 4;
const mostCharacters = 4_096;

/** Gathers how one request was routed, for a header of its answer. */
export interface DecisionHeader {
  readonly observer: RequestObserver;
  /** The header as far as decisions are known; none before the first. */
  headers(): Readonly<Record<string, string>>;
}

/** Decisions as JSON: choice, attempt, phase, worker, rank, tokens, costs in milliseconds, reason, cheapest candidates. */
export function createDecisionHeader(): DecisionHeader {
  const decisions: ReturnType<typeof told>[] = [];
  return {
    observer(event) {
      if (event.type === "routed" && decisions.length < mostDecisions) decisions.push(told(event));
    },
    headers() {
      if (decisions.length === 0) return {};
      const whole = asciiJson(decisions);
      if (whole.length <= mostCharacters) return { [decisionHeader]: whole };
      const bare = asciiJson(decisions.map((decision) => ({ ...decision, candidates: undefined })));
      return bare.length <= mostCharacters ? { [decisionHeader]: bare } : {};
    },
  };
}

function told(event: RequestEvent & { readonly type: "routed" }) {
  const { choice, attempt, phase, worker, rank, cachedTokens, promptTokens, policy, reason } = event;
  const candidates = [...event.candidates]
    .sort(
      (a, b) => Number(a.excluded !== undefined) - Number(b.excluded !== undefined) || a.costMs - b.costMs,
    )
    .slice(0, mostCandidates)
    .map((candidate) => ({
      worker: candidate.worker,
      rank: candidate.rank,
      cachedTokens: candidate.cachedTokens,
      costMs: rounded(candidate.costMs),
      terms: Object.fromEntries(Object.entries(candidate.terms).map(([name, ms]) => [name, rounded(ms)])),
      excluded: candidate.excluded,
    }));
  return {
    choice,
    attempt,
    phase,
    worker,
    rank,
    cachedTokens,
    promptTokens,
    costMs: rounded(event.costMs),
    decisionMs: rounded(event.decisionMs),
    policy,
    reason,
    candidates,
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Header values are ASCII: worker names and reasons need not be. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

import type { RecordedDecision } from "@stator/router/selector";
import type { TraceRequest } from "../workload/trace-request.ts";
import type { ReplayResult } from "./replay.ts";
import type { RequestOutcome } from "./replay-summary.ts";

/** What recorded requests are taken to have generated when the log does not say. */
const UNKNOWN_OUTPUT_TOKENS = 256;

/** Recorded decisions as a workload: the same arrivals and prefixes, to be decided anew. */
export function workloadOfDecisions(decisions: readonly RecordedDecision[]): TraceRequest[] {
  const startMs = decisions.reduce((least, decision) => Math.min(least, decision.atMs), Infinity);
  return decisions
    .map((decision) => ({
      atMs: decision.atMs - startMs,
      inputTokens: decision.promptTokens,
      outputTokens: decision.outputTokens ?? UNKNOWN_OUTPUT_TOKENS,
      blockIds: [],
      names: decision.names,
      ...(decision.sessionId === undefined ? {} : { session: decision.sessionId }),
    }))
    .sort((a, b) => a.atMs - b.atMs);
}

/**
 * The size of the blocks that recorded names are of: the one that makes of every prompt as many full blocks as it has names.
 * Where the log leaves several, a multiple of 16 if there is one.
 *
 * @throws RangeError when no size does: the log is of pools with several.
 */
export function blockTokensOfDecisions(decisions: readonly RecordedDecision[]): number {
  let [least, most] = [1, Infinity];
  for (const { promptTokens, names } of decisions) {
    least = Math.max(least, Math.floor(promptTokens / (names.length + 1)) + 1);
    if (names.length > 0) most = Math.min(most, Math.floor(promptTokens / names.length));
  }
  if (least > most)
    throw new RangeError("No block size fits all decisions: record each pool in a file of its own.");
  const round = Math.ceil(least / 16) * 16;
  return round <= most ? round : least;
}

/** How one replay differs from another of the same workload. Deltas are `after` less `before`. */
export interface ReplayDifference {
  readonly requests: number;
  /** Requests that went elsewhere. */
  readonly moved: number;
  readonly meanTtftMs: number;
  readonly p99TtftMs: number;
  readonly hitRatio: number;
  readonly imbalance: number;
  /** The requests that lost most, worst first: at most ten. */
  readonly worst: readonly {
    readonly index: number;
    readonly before: RequestOutcome;
    readonly after: RequestOutcome;
  }[];
}

/** @throws RangeError when the two are not of the same workload. */
export function compareReplays(before: ReplayResult, after: ReplayResult): ReplayDifference {
  if (before.requests !== after.requests) {
    throw new RangeError(
      `The replays have ${before.requests} and ${after.requests} requests: they are not of the same workload.`,
    );
  }
  const pairs = before.outcomes.map((outcome, index) => ({
    index,
    before: outcome,
    after: after.outcomes[index]!,
  }));
  return {
    requests: before.requests,
    moved: pairs.filter((pair) => pair.before.worker !== pair.after.worker).length,
    meanTtftMs: after.meanTtftMs - before.meanTtftMs,
    p99TtftMs: after.p99TtftMs - before.p99TtftMs,
    hitRatio: after.hitRatio - before.hitRatio,
    imbalance: after.imbalance - before.imbalance,
    worst: pairs
      .filter((pair) => pair.after.ttftMs > pair.before.ttftMs)
      .sort((a, b) => b.after.ttftMs - b.before.ttftMs - (a.after.ttftMs - a.before.ttftMs))
      .slice(0, 10),
  };
}

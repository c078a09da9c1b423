/** What became of one request. */
export interface RequestOutcome {
  readonly atMs: number;
  readonly worker: string;
  readonly inputTokens: number;
  readonly blocks: number;
  /** Cached tokens and time to first token as the selector foresaw them. */
  readonly predictedTokens: number;
  readonly predictedMs: number;
  cachedTokens: number;
  ttftMs: number;
  finishedMs: number;
}

export interface ReplaySummary {
  readonly requests: number;
  /** Share of prompt blocks that were cached where the request ran. */
  readonly hitRatio: number;
  readonly meanTtftMs: number;
  readonly p50TtftMs: number;
  readonly p99TtftMs: number;
  /** Prompt tokens computed by the busiest worker over the mean of all. */
  readonly imbalance: number;
  /** Mean absolute error of the foreseen time to first token. */
  readonly meanPredictionErrorMs: number;
  /** Virtual time until the last token. */
  readonly durationMs: number;
}

export function replaySummary(
  outcomes: readonly RequestOutcome[],
  computedTokens: readonly number[],
  blockTokens: number,
): ReplaySummary {
  const count = Math.max(1, outcomes.length);
  const ttfts = outcomes.map((outcome) => outcome.ttftMs).sort((a, b) => a - b);
  const sum = (of: (outcome: RequestOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const total = computedTokens.reduce((a, b) => a + b, 0);
  return {
    requests: outcomes.length,
    hitRatio:
      sum((o) => Math.ceil(o.cachedTokens / blockTokens)) /
      Math.max(
        1,
        sum((o) => o.blocks),
      ),
    meanTtftMs: sum((o) => o.ttftMs) / count,
    p50TtftMs: ttfts[ttfts.length >> 1] ?? 0,
    p99TtftMs: ttfts[Math.floor(ttfts.length * 0.99)] ?? 0,
    imbalance: total === 0 ? 1 : (Math.max(...computedTokens) * computedTokens.length) / total,
    meanPredictionErrorMs: sum((o) => Math.abs(o.ttftMs - o.predictedMs)) / count,
    durationMs: outcomes.reduce((last, o) => Math.max(last, o.finishedMs), 0),
  };
}

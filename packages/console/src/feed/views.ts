// What the page shows, as the feed sends it. Counts, times and names only: no prompt, no output, no key.

/** A worker as the process that serves the page sees it. */
export interface WorkerView {
  readonly id: string;
  readonly epoch: string;
  readonly model: string;
  readonly role: "prefill" | "decode" | "both";
  readonly state: "ready" | "suspect" | "draining" | "ejected" | "dead";
  readonly reason?: string;
  readonly running: number;
  readonly waiting: number;
  readonly queuedPrefillTokens: number;
  readonly kvBlocksUsed: number;
  readonly kvBlocksTotal: number;
  /** Of those in use, blocks that are kept for a decode that will not come. */
  readonly kvBlocksLeaked: number;
  readonly capacityRequests: number;
  readonly ranks: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether a block stored there came back as a KV event, where that was probed: of several ranks the worst. */
  readonly probe?: ProbeView;
}

export interface ProbeView {
  readonly outcome: "waiting" | "passed" | "failed" | "unproven" | "skipped";
  readonly detail?: string;
}

export interface CandidateView {
  readonly worker: string;
  readonly rank: number;
  readonly cachedTokens: number;
  readonly costMs: number;
  /** Milliseconds by name of the term. */
  readonly terms: Readonly<Record<string, number>>;
  readonly excluded?: string;
}

/** Why one place was chosen. */
export interface DecisionView {
  readonly atMs: number;
  readonly phase: "prefill" | "decode" | "full";
  readonly worker: string;
  readonly cachedTokens: number;
  readonly promptTokens: number;
  readonly costMs: number;
  readonly decisionMs: number;
  readonly policy: string;
  readonly reason: string;
  readonly candidates: readonly CandidateView[];
}

export interface MigrationView {
  readonly atMs: number;
  readonly from: string;
  readonly cause: string;
  readonly outcome: string;
  readonly gapMs: number;
  readonly recomputedTokens: number;
}

/** One choice of one request. Times are milliseconds since its first event. */
export interface RequestView {
  readonly key: string;
  readonly id: string;
  readonly choice: number;
  readonly model: string;
  /** On the feed's clock. */
  readonly startedMs: number;
  readonly stage: "queued" | "prefill" | "transfer" | "decode" | "done";
  readonly end?: "stop" | "length" | "abort" | "cancelled" | "error";
  readonly code?: string;
  readonly worker?: string;
  readonly prefillWorker?: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly queuedMs?: number;
  readonly ttftMs?: number;
  /** Mean time between output tokens. */
  readonly itlMs?: number;
  readonly durationMs: number;
  readonly transferMs?: number;
  readonly decisions: readonly DecisionView[];
  readonly migrations: readonly MigrationView[];
}

/** Something that moved, for the picture: a request to a worker, KV between workers, a request away from one. */
export interface FlowView {
  readonly type: "routed" | "transferred" | "migrated";
  readonly from?: string;
  readonly to?: string;
}

/** One second of the process. */
export interface RateView {
  readonly atMs: number;
  readonly requestsPerSecond: number;
  readonly outputTokensPerSecond: number;
  readonly active: number;
  readonly ttftP50Ms?: number;
  readonly ttftP99Ms?: number;
  readonly itlP50Ms?: number;
  readonly itlP99Ms?: number;
  /** Share of prompt tokens that were not computed again. */
  readonly hitRatio?: number;
}

/** What the planner wants of one pool. */
export interface PlanView {
  readonly pool: string;
  readonly target: number;
  readonly current: number;
  readonly reason?: string;
}

/** One message of the feed: everything at first, then what changed. */
export interface FeedMessage {
  readonly title: string;
  readonly nowMs: number;
  readonly uptimeMs: number;
  readonly workers: readonly WorkerView[];
  readonly gone: readonly string[];
  readonly requests: readonly RequestView[];
  readonly flows: readonly FlowView[];
  readonly rates: readonly RateView[];
  readonly plan?: readonly PlanView[];
}

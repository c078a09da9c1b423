/** Workers per role. In an aggregated graph every worker is counted under `decode`, and `prefill` is 0. */
export interface Workers {
  readonly prefill: number;
  readonly decode: number;
}

/** One interval as all frontends and workers together saw it. Zero requests are an observation too. */
export interface Interval {
  readonly durationMs: number;
  /** Requests that arrived. */
  readonly requests: number;
  /** Means over the requests; 0 when there were none. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Prompt tokens found in caches over all prompt tokens, 0 to 1. */
  readonly prefixHitRatio: number;
  /** At the SLO's percentile; absent when nothing finished. */
  readonly ttftMs?: number;
  readonly itlMs?: number;
  /** Ready workers, mean over the interval. */
  readonly workers: Workers;
  /** Prompt tokens that wait now, over all prefill workers. */
  readonly queuedPrefillTokens?: number;
  /** KV usage of the fullest decode worker now, 0 to 1. */
  readonly kvUsage?: number;
}

/** What the planner knows when it decides. */
export interface Observations {
  /** Oldest first; the last one just ended. */
  readonly intervals: readonly Interval[];
  /** The targets in force. */
  readonly target: Workers;
  /** Ready now. */
  readonly ready: Workers;
  /** Of the target, what cannot start for want of room. Default none. */
  readonly stuck?: Workers;
  /** Time since a target was last changed, per role. */
  readonly sinceChangeMs: Workers;
}

/** The load to be ready for: the largest expected between now and the time at which a worker started now is of use. */
export interface LoadForecast {
  /** Expected requests per second. */
  readonly requestsPerSecond: number;
  /** Upper end of the prediction interval; equals the mean when nothing is known about errors. */
  readonly requestsPerSecondUpper: number;
  /**
   * Expected at the far end of the horizon, when a worker that is given up now could be back: where it is less than
   * `requestsPerSecond` the load falls, and taking workers away needs less margin. Default `requestsPerSecond`.
   */
  readonly requestsPerSecondLater?: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** 0 to 1. */
  readonly prefixHitRatio: number;
}

export interface Slo {
  readonly ttftMs: number;
  /** Between tokens. */
  readonly itlMs: number;
  /** Share of requests that keep it, 50 to 99.9. Default 90. */
  readonly percentile?: number;
}

export interface Limits {
  readonly graph: "disaggregated" | "aggregated";
  /** GPUs in all, never exceeded. */
  readonly gpus: number;
  /** Default 1 per role. */
  readonly minimum?: Workers;
  /** Default: what the budget allows. */
  readonly maximum?: Workers;
  /** No scale-down of a role sooner than this after its last change. Default 30,000. */
  readonly coolDownMs?: number;
  /** A smaller number must serve this times the load of the horizon's end before it is taken. Default 1.05. */
  readonly downMargin?: number;
}

/** Why a number came out as it did. */
export interface Reason {
  readonly role: "prefill" | "decode";
  readonly code:
    | "slo"
    | "idle"
    | "minimum"
    | "maximum"
    | "budget"
    | "held:coolDown"
    | "held:hysteresis"
    | "held:starting"
    | "unattainable"
    | "outsideProfile"
    | "correction"
    | "surge"
    | "pressure"
    | "calm"
    | "steady";
  readonly message: string;
}

export interface Plan extends Workers {
  readonly reasons: readonly Reason[];
  /** At the SLO's percentile, with these workers and the forecast load. */
  readonly predictedTtftMs: number;
  readonly predictedItlMs: number;
  /** How many times the forecast load these workers could serve within the SLO; above 1 is room. */
  readonly headroom: number;
}

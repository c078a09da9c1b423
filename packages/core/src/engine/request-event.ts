/** Why an attempt was given up. */
export type MigrationCause =
  | "crashed"
  | "dead"
  | "stuck"
  | "draining"
  | "neverStarted"
  | "overloaded"
  | "unfit"
  | "incompatible"
  | "protocolFault"
  | "callerSilent";

/** One candidate of a routing decision, as it was costed. */
export interface RoutedCandidate {
  readonly worker: string;
  readonly rank: number;
  readonly cachedTokens: number;
  readonly costMs: number;
  /** Cost terms in ms by name: `queue`, `prefill`, `transfer`, `decode`, `tier`. */
  readonly terms: Readonly<Record<string, number>>;
  /** Why it was not eligible, if so. */
  readonly excluded?: string;
}

/** What happens to one request, told once, in order. `atMs` is on the teller's monotonic clock. */
export type RequestEvent = {
  readonly atMs: number;
  readonly requestId: string;
  readonly choice: number;
  readonly attempt: number;
} & (
  | { readonly type: "queued"; readonly where: string }
  | {
      readonly type: "routed";
      readonly phase: "prefill" | "decode" | "full";
      readonly worker: string;
      /** The life of the worker that was chosen. */
      readonly epoch?: string;
      /** Which weights it serves: a stream resumes only on the same ones. */
      readonly weightsDigest?: string;
      readonly rank: number;
      readonly cachedTokens: number;
      readonly promptTokens: number;
      readonly costMs: number;
      readonly policy: string;
      readonly decisionMs: number;
      readonly candidates: readonly RoutedCandidate[];
      readonly reason: string;
    }
  | {
      readonly type: "prefilled";
      readonly worker: string;
      readonly cachedTokens: number;
      readonly computedTokens: number;
    }
  | {
      readonly type: "transferred";
      readonly from: string;
      readonly to: string;
      readonly heldTokens: number;
      readonly durationMs: number;
    }
  | { readonly type: "firstToken"; readonly worker?: string }
  | { readonly type: "tokens"; readonly count: number }
  | {
      readonly type: "migrated";
      readonly from: string;
      readonly cause: MigrationCause;
      readonly outcome: "resumed" | "restarted" | "finishedLocally" | "failed";
      readonly gapMs: number;
      readonly recomputedTokens: number;
    }
  | {
      readonly type: "finished";
      readonly reason: "stop" | "length" | "abort" | "cancelled" | "error";
      readonly code?: string;
      readonly promptTokens: number;
      readonly outputTokens: number;
      readonly cachedTokens: number;
    }
);

/** Anything that listens to requests: metrics, spans, explanations, the console. Must not throw, must not block. */
export type RequestObserver = (event: RequestEvent) => void;

import type { WorkerConfig } from "./processes/worker-config.ts";

/** How much is done in one run of a row. */
export interface Profile {
  readonly name: "test" | "ci" | "full";
  readonly clients: number;
  /** Requests before a run counts. */
  readonly requests: number;
  /** Faults where a distribution is measured; other rows do `fewFaults`. */
  readonly faults: number;
  readonly fewFaults: number;
  /** Of a store or broker. */
  readonly outageMs: number;
  readonly stepMs: number;
  /** Output tokens of a request, from and to. */
  readonly tokens: readonly [number, number];
}

export const profiles: Readonly<Record<Profile["name"], Profile>> = {
  test: {
    name: "test",
    clients: 6,
    requests: 24,
    faults: 2,
    fewFaults: 2,
    outageMs: 1_000,
    stepMs: 5,
    tokens: [8, 32],
  },
  ci: {
    name: "ci",
    clients: 8,
    requests: 800,
    faults: 20,
    fewFaults: 5,
    outageMs: 20_000,
    stepMs: 5,
    tokens: [8, 32],
  },
  full: {
    name: "full",
    clients: 8,
    requests: 800,
    faults: 60,
    fewFaults: 20,
    outageMs: 600_000,
    stepMs: 20,
    tokens: [8, 256],
  },
};

export interface RowContext {
  readonly seed: number;
  /** From 0 to 1, by the seed. */
  readonly random: () => number;
  readonly profile: Profile;
  readonly engine: WorkerConfig["engine"];
}

/** What a row measured. Times in milliseconds. */
export interface RowResult {
  readonly faults: number;
  /** Faults that were seen to have happened. */
  readonly confirmed: number;
  readonly requests: number;
  /** Requests that ended in an error though a healthy worker existed. */
  readonly lost: number;
  /** Breaches of the history's invariants: an index twice, two ends, tokens after the end. */
  readonly duplicated: number;
  /** Requests whose ids or finish are not those of an undisturbed run. */
  readonly mismatched: number;
  readonly gapP50Ms?: number;
  readonly gapP99Ms?: number;
  readonly detectP99Ms?: number;
  readonly recoveryMs?: number;
  readonly recomputedTokens: number;
  /** Output tokens of the requests that moved. */
  readonly generatedTokens?: number;
  /**
   * Tokens that a moved request computed again beyond what it generated, p99, of those whose prompt another worker had computed:
   * more than a block means that it was computed twice though a copy was left.
   */
  readonly recomputedOverP99?: number;
  /** The longest time that the tester's own process stood still while it struck: no figure of time is better than this. */
  readonly stalledMs?: number;
  /** Figures of this row alone. */
  readonly more?: Readonly<Record<string, number>>;
  /** Why the run says nothing: the load or the faults were not what they had to be. */
  readonly isVoid?: string;
  readonly failures?: readonly string[];
}

/** One row of the fault matrix. */
export interface Row {
  readonly row: number;
  readonly title: string;
  readonly needs?: "redis-server" | "nats-server" | "prlimit";
  readonly engines: readonly WorkerConfig["engine"][];
  /** Figures of `more` that must be 0. */
  readonly zero?: readonly string[];
  /** Figures of the result or of `more` that should be no greater, by the matrix; what is, is told as missed. */
  readonly most?: Readonly<Record<string, number>>;
  run(context: RowContext): Promise<RowResult>;
}

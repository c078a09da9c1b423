import type { RetryBudget } from "./retry-budget.ts";

/** What a migrating engine has done so far. */
export interface MigratingCounts {
  readonly active: number;
  /** Of these, on their way to another worker now. */
  readonly retrying: number;
  readonly trackedTokens: number;
  readonly resumed: number;
  readonly restarted: number;
  readonly finishedLocally: number;
  readonly failed: number;
  readonly droppedBatches: number;
  readonly recomputedTokens: number;
  readonly notMigratable: number;
  readonly quarantined: number;
}

/** The counts, to be counted up. */
export type Counting = { -readonly [Count in Exclude<keyof MigratingCounts, "retrying">]: number } & {
  readonly retrying: number;
};

export function createCounts(budget: RetryBudget): Counting {
  return {
    active: 0,
    get retrying(): number {
      return budget.retrying;
    },
    trackedTokens: 0,
    resumed: 0,
    restarted: 0,
    finishedLocally: 0,
    failed: 0,
    droppedBatches: 0,
    recomputedTokens: 0,
    notMigratable: 0,
    quarantined: 0,
  };
}

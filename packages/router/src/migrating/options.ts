import type { Clock, Deadlines, Meter } from "@stator/core";

import type { RetryBudgetOptions } from "./retry-budget.ts";

export interface MigratingOptions {
  /** Attempts of one request in all; free ones (never started, draining, busy) do not count. Default 3. */
  readonly attempts?: number;
  /** Requests on their way to another worker at once; the others wait in line. Default 20 % of the active ones, at least 3. */
  readonly retryBudget?: RetryBudgetOptions;
  /** Prompt and output tokens kept for all requests together; beyond it new ones are not migratable. Default 64 Mi (256 MiB). */
  readonly maxTrackedTokens?: number;
  /** `requestMs`, `retryBackoffMs` and `quarantineMs` matter here. */
  readonly deadlines?: Partial<Deadlines>;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter of back-offs. Default `Math.random`. */
  readonly random?: () => number;
  /** Counts `duplicate_frames_dropped`; everything else of a migration is in its event. Default: nothing is measured. */
  readonly meter?: Meter;
}

export const defaultAttempts: number = 3;
export const defaultMaxTrackedTokens: number = 64 * 1024 * 1024;

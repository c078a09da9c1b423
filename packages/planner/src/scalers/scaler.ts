import type { Workers } from "../decision/types.ts";

/** What there is of workers. */
export interface ScalerState {
  /** Wanted now. */
  readonly target: Workers;
  /** Serving now. */
  readonly ready: Workers;
  /** Wanted, but without room to start: pods that no node takes. Default none. */
  readonly stuck?: Workers;
}

/** What carries out decisions: processes, Kubernetes, somebody else's system, or nobody. */
export interface Scaler {
  state(signal: AbortSignal): Promise<ScalerState>;
  /**
   * Asks for these numbers and returns once that is accepted, not once workers serve. Workers that go are drained first.
   *
   * @throws PlannerError `PLANNER_SCALING_FAILED`
   */
  scale(target: Workers, signal: AbortSignal): Promise<void>;
}

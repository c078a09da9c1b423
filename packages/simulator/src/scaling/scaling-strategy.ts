import type { Interval, Observations, Workers } from "@stator/planner";

/** What decides on numbers of workers. Stateful; one for each run. */
export interface ScalingStrategy {
  /**
   * Asked at the end of every interval.
   *
   * @param samples the same time in finer steps, oldest first
   */
  decide(observations: Observations, samples: readonly Interval[], nowMs: number): Workers;
  /** Asked after every sample in between; the last sample says what waits now. */
  correct?(observations: Observations, samples: readonly Interval[], nowMs: number): Workers;
  /** Asked between samples, with the requests that arrived within the last `ms`. */
  check?(observations: Observations, samples: readonly Interval[], requests: number, ms: number): Workers;
}

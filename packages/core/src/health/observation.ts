import type { MigrationCause } from "../engine/request-event.ts";
import type { Observation } from "./worker-health.ts";

/** The observations that end a request or an attempt: the lines of the table. */
export type OutcomeType = Exclude<
  Observation["type"],
  "spoke" | "frame" | "outlier" | "connected" | "disconnected" | "left" | "registered"
>;

/** What one observation means. */
export interface ObservationRule {
  readonly class:
    | "done"
    | "crashed"
    | "cancelled"
    | "draining"
    | "neverStarted"
    | "dead"
    | "stuck"
    | "backpressure"
    | "overload"
    | "clientError"
    | "unfit"
    | "contractMismatch"
    | "timeout"
    | "protocolFault"
    | "ownFault";
  /**
   * Whether the request goes on elsewhere: `free` uses up no attempt, `anywhere` neither and the same life may take it
   * again, `oncePerWorker` asks each worker at most once, `compatible` only goes where
   * another contract is spoken, `thirdTime` drops the frame twice first.
   */
  readonly migrate: "no" | "yes" | "free" | "anywhere" | "oncePerWorker" | "compatible" | "thirdTime";
  /** What the worker's health does with it. */
  readonly effect:
    "none" | "reset" | "eject" | "drain" | "dead" | "busyLease" | "unfit" | "exclude" | "ejectThirdTime";
  /** The cause that a `migrated` event names. */
  readonly cause?: MigrationCause;
  /** An operator should be told. */
  readonly isAlert?: boolean;
}

/** Section 2b of the reliability specification, line by line. 4xx, 429 and busy never count against a worker. */
export const observationRules: Readonly<Record<OutcomeType, ObservationRule>> = {
  done: { class: "done", migrate: "no", effect: "reset" },
  cut: { class: "crashed", migrate: "yes", effect: "eject", cause: "crashed" },
  cancelled: { class: "cancelled", migrate: "no", effect: "none" },
  draining: { class: "draining", migrate: "free", effect: "drain", cause: "draining" },
  neverStarted: { class: "neverStarted", migrate: "free", effect: "eject", cause: "neverStarted" },
  identityFailed: {
    class: "neverStarted",
    migrate: "free",
    effect: "eject",
    cause: "neverStarted",
    isAlert: true,
  },
  silent: { class: "dead", migrate: "yes", effect: "dead", cause: "dead" },
  stuck: { class: "stuck", migrate: "yes", effect: "eject", cause: "stuck" },
  busy: { class: "backpressure", migrate: "oncePerWorker", effect: "busyLease", cause: "overloaded" },
  poolBusy: { class: "overload", migrate: "no", effect: "none" },
  clientError: { class: "clientError", migrate: "no", effect: "none" },
  unfit: { class: "unfit", migrate: "yes", effect: "unfit", cause: "unfit" },
  contractMismatch: {
    class: "contractMismatch",
    migrate: "compatible",
    effect: "exclude",
    cause: "incompatible",
    isAlert: true,
  },
  deadline: { class: "timeout", migrate: "no", effect: "none" },
  protocolFault: {
    class: "protocolFault",
    migrate: "thirdTime",
    effect: "ejectThirdTime",
    cause: "protocolFault",
  },
  callerSilent: { class: "ownFault", migrate: "anywhere", effect: "none", cause: "callerSilent" },
};

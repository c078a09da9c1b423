import type { ObservationRule } from "./observation.ts";

/**
 * What this process believes about a worker.
 * - `ready`: takes work. - `suspect`: silent for a moment; no new work. - `draining`: said so; running work stays.
 * - `ejected`: failed; back after its back-off through one half-open probe. - `dead`: silent, gone or unfit.
 */
export type WorkerState = "ready" | "suspect" | "draining" | "ejected" | "dead";

/** The same, told finely. */
export type WorkerCondition =
  | "ready"
  /** Silent for a moment, or its session is about to be opened again. */
  | "suspect"
  /** Said it was at capacity: a lease that expires by itself. */
  | "busy"
  | "draining"
  /** Failed: out until its back-off ends. */
  | "ejected"
  /** The back-off ended: one request may try. */
  | "probing"
  /** Frames but no progress: running work must leave. */
  | "stuck"
  /** Speaks another contract. */
  | "incompatible"
  /** Silent for too long: running work must leave. */
  | "silent"
  /** Cannot work again without a restart: running work must leave. */
  | "unfit"
  /** Its registration is gone and no session speaks for it. */
  | "gone";

/** One thing seen about a worker, by anyone in this process. The table of `observation.ts` says what each means. */
export type Observation =
  /** A request ended with its final batch. */
  | { readonly type: "done" }
  /** The probe of a half-open circuit got its first token: it works, and another request may try beside it. */
  | { readonly type: "spoke" }
  /** A frame of its session, or a look at its status. Without `step` it only says that the worker is alive. */
  | {
      readonly type: "frame";
      readonly step?: number;
      /** Requests that run or wait there, whosever they are: without any, a flat step count is idleness. */
      readonly running?: number;
      readonly stepAgeMs?: number;
      readonly stepExpectedMs?: number;
    }
  /** A stream ended, reset or broke without the final batch, and our own signal had not fired. */
  | { readonly type: "cut"; readonly cause?: unknown }
  /** The same, and it had. */
  | { readonly type: "cancelled" }
  /** It takes no new work. */
  | { readonly type: "draining" }
  /** Refused, unreachable or TLS failure before the request was dispatched. */
  | { readonly type: "neverStarted"; readonly cause?: unknown }
  /** The same, because the peer is not who it should be. */
  | { readonly type: "identityFailed"; readonly cause?: unknown }
  /** No frame for longer than `deadMs`. */
  | { readonly type: "silent" }
  /** Frames, but no progress for longer than `stuckAfterMs`. */
  | { readonly type: "stuck" }
  /** It rejected a request as overloaded. */
  | { readonly type: "busy" }
  /** Every worker of its pool did. */
  | { readonly type: "poolBusy" }
  /** Invalid argument, context too long, unsupported. */
  | { readonly type: "clientError" }
  /** The engine reports that it cannot work again. */
  | { readonly type: "unfit"; readonly reason: string }
  /** Unimplemented, decode error, version out of range. */
  | { readonly type: "contractMismatch" }
  /** Our own deadline passed. */
  | { readonly type: "deadline" }
  /** A duplicate or out-of-order output index; every third one ejects. */
  | { readonly type: "protocolFault" }
  /** It ended our session because *we* said nothing: our own loop was blocked. */
  | { readonly type: "callerSilent" }
  /** Much slower than its peers: ejected unless half of its pool already is out. */
  | { readonly type: "outlier" }
  /** A session is open: from here on silence counts. */
  | { readonly type: "connected" }
  /** The session is closed: silence means nothing any more. One that comes back takes no work until it did. */
  | { readonly type: "disconnected"; readonly isComingBack?: boolean }
  /** Its registration is gone; nothing changes while its session speaks. */
  | { readonly type: "left" }
  /** Its registration is back. */
  | { readonly type: "registered" };

/** A request on its way to a worker: ended by an observation of its end, or taken back. */
export interface Admission {
  readonly isProbe: boolean;
}

/** The one object that every policy, pool and retry in this process reads about one life of one worker. */
export interface WorkerHealth {
  readonly worker: string;
  readonly epoch: string;
  readonly state: WorkerState;
  readonly condition: WorkerCondition;
  /** New work may go there now: ready, no busy lease, or the one probe of a half-open circuit. */
  readonly isSelectable: boolean;
  /** Why it is not `ready`, in words. */
  readonly reason: string | undefined;
  /** From 0 to 1: the share of its normal work that a worker gets while it returns from an ejection. */
  readonly warmth: number;
  /** So far in this life. */
  readonly counts: { readonly ejections: number; readonly deaths: number; readonly protocolFaults: number };
  /** Says that a request is going there: the first one takes the probe of a half-open circuit. Undefined: refused. */
  admit(): Admission | undefined;
  /** Takes back an admission whose request never left. */
  withdraw(admission: Admission): void;
  /** Tells what was seen. Returns what it means, when it is a line of the table. */
  observe(observation: Observation): ObservationRule | undefined;
  /** Called after every change of `condition`. Returns how to stop. */
  onChange(listener: (state: WorkerState, condition: WorkerCondition) => void): () => void;
}

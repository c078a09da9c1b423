/**
 * What this process believes about a worker.
 * - `ready`: takes work. - `suspect`: silent for one heartbeat; no new work. - `draining`: said so; running work stays.
 * - `ejected`: failed; back after its back-off through one half-open probe. - `dead`: this life is over.
 */
export type WorkerState = "ready" | "suspect" | "draining" | "ejected" | "dead";

/** One thing seen about a worker, by anyone in this process. The table of `observations.ts` says what each means. */
export type Observation =
  | { readonly type: "done" }
  | { readonly type: "frame"; readonly step: number; readonly running: number; readonly stepAgeMs: number; readonly stepExpectedMs: number }
  | { readonly type: "cut"; readonly cause?: unknown }
  | { readonly type: "cancelled" }
  | { readonly type: "draining" }
  | { readonly type: "neverStarted"; readonly cause?: unknown }
  | { readonly type: "identityFailed"; readonly cause?: unknown }
  | { readonly type: "silent" }
  | { readonly type: "stuck" }
  | { readonly type: "busy" }
  | { readonly type: "poolBusy" }
  | { readonly type: "clientError" }
  | { readonly type: "unfit"; readonly reason: string }
  | { readonly type: "contractMismatch" }
  | { readonly type: "deadline" }
  | { readonly type: "protocolFault" }
  | { readonly type: "connected" }
  | { readonly type: "left" };

/** The one object that every policy, pool and retry in this process reads about one life of one worker. */
export interface WorkerHealth {
  readonly state: WorkerState;
  /** New work may go there now: ready, no busy lease, or the one probe of a half-open circuit. */
  readonly isSelectable: boolean;
  /** Why it is not `ready`, in words. */
  readonly reason: string | undefined;
  observe(observation: Observation): void;
  /** Called after every change of `state`. Returns how to stop. */
  onChange(listener: (state: WorkerState) => void): () => void;
}

import type { KvEventBatch, Worker } from "@stator/core";
import type { Chosen, SelectorCard } from "../selector/selector.ts";

/** What replicas tell each other. Plain data: structured clone carries it; `encodeReplicaMessage` makes bytes of it. */
export type ReplicaMessage = {
  readonly router: string;
  /** For this replica only. */
  readonly to?: string;
} & (
  | {
      readonly type: "booked";
      readonly booking: number;
      readonly chosen: ReplicaChosen;
      readonly request: ReplicaRequest;
    }
  | { readonly type: "prefilled"; readonly booking: number }
  | { readonly type: "progress"; readonly booking: number; readonly outputTokens: number }
  | { readonly type: "freed"; readonly booking: number }
  /** Still here. A replica that hears nothing for a time frees all of its bookings. */
  | {
      readonly type: "alive";
      readonly open: number;
      /** Smallest number of an open booking: those below were freed. */
      readonly oldest: number;
      /** How far its index is, if it shares it. */
      readonly workers: readonly ReplicaWorker[];
    }
  | { readonly type: "left" }
  | { readonly type: "workerAdded"; readonly worker: Worker; readonly card: SelectorCard }
  | { readonly type: "workerRemoved"; readonly worker: string; readonly epoch: string }
  /** A batch, or a part of one that is too long for one message: which part, and whether more follow. */
  | {
      readonly type: "observed";
      readonly batch: KvEventBatch;
      readonly part?: number;
      readonly isPartial?: boolean;
    }
  /** Asks one replica for a worker and a snapshot of its blocks. */
  | { readonly type: "wanted"; readonly worker: string }
);

/** The part of a choice that load depends on. */
export type ReplicaChosen = Pick<Chosen, "worker" | "epoch" | "rank" | "cachedTokens">;

/** The part of a request that load and expected prefixes depend on. */
export interface ReplicaRequest {
  readonly names: BigUint64Array;
  readonly promptTokens: number;
  readonly phase?: "full" | "prefill" | "decode";
  readonly expectedOutputTokens?: number;
}

/** One life of a worker, and the sequence number that its next batch must have. */
export interface ReplicaWorker {
  readonly worker: string;
  readonly epoch: string;
  readonly next: bigint;
}

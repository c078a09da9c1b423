/** Where a block lies: the accelerator, the host, a disk, or a store that several workers share. */
export type KvTier = "device" | "host" | "disk" | "shared";

/** Blocks now present: a chain, `sequenceHashes[i]` following `sequenceHashes[i - 1]`, the first following `parent`. */
export interface KvStored {
  readonly type: "stored";
  /** Sequence hash of the block before the first one; absent at the root. */
  readonly parent?: bigint;
  /** Our names (architecture section 6). */
  readonly sequenceHashes: BigUint64Array;
  /** Raw engine feeds: the engine's own keys, one per block, and its key of the parent. */
  readonly engineKeys?: BigUint64Array;
  readonly engineParent?: bigint;
  readonly tier: KvTier;
  readonly rank: number;
  /** KV group index; absent means group 0. */
  readonly group?: number;
}

/** Blocks gone from one tier. */
export interface KvRemoved {
  readonly type: "removed";
  readonly sequenceHashes: BigUint64Array;
  readonly engineKeys?: BigUint64Array;
  readonly tier: KvTier;
  readonly rank: number;
  readonly group?: number;
}

/** Everything of a rank is gone. */
export interface KvCleared {
  readonly type: "cleared";
  readonly rank: number;
}

export type KvEvent = KvStored | KvRemoved | KvCleared;

/**
 * Events of one worker in order. `sequence` numbers batches from 1 without gaps within an `epoch`; a gap is replayed or
 * dumped, another epoch drops everything known of the worker.
 */
export interface KvEventBatch {
  readonly worker: string;
  readonly epoch: string;
  readonly sequence: bigint;
  readonly events: readonly KvEvent[];
  /** True for a dump: the batch replaces everything known. */
  readonly isSnapshot?: boolean;
}

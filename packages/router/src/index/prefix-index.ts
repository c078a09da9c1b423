import type { SharedIndexHandle } from "./shared-index.ts";

/** Tiers of one target, best first, as bits. */
export const TIER_DEVICE: number = 1;
export const TIER_HOST: number = 2;
export const TIER_DISK: number = 4;

/** Default bound of an index: 256 MiB, about 3.3 million blocks held twice on up to 32 targets. */
export const DEFAULT_INDEX_BYTES: number = 256 * 1024 * 1024;

/** The least `maxBytes`. */
export const LEAST_INDEX_BYTES: number = 1024 * 1024;

/** Most targets of one index. */
export const MAX_TARGETS: number = 4096;

export interface PrefixIndexOptions {
  /** Hard bound of all tables together, in bytes. Default 256 MiB; at least 1 MiB. */
  readonly maxBytes?: number;
  /** Lets other threads read it, through `PrefixIndex.shared` and `openSharedIndex`. Default false. */
  readonly isShared?: boolean;
  /**
   * What runs it: WebAssembly, or JavaScript on typed arrays. Default `wasm` unless shared with other threads, beyond 2 GiB, or where
   * WebAssembly is not to be had; both answer alike.
   */
  readonly core?: "wasm" | "typed";
}

/** Blocks as an event names them. */
export interface StoredBlocks {
  readonly names: BigUint64Array;
  /** The engine's own keys, if they differ from the names. */
  readonly keys?: BigUint64Array | undefined;
  readonly parentName?: bigint | undefined;
  readonly parentKey?: bigint | undefined;
}

/** Blocks as a dump tells them: one chain, all in the same tiers. */
export interface DumpedBlocks extends StoredBlocks {
  /** Tier bits. */
  readonly tiers: number;
}

/** What a lookup found; reused by the next lookup of the same index. */
export interface PrefixMatch {
  /** Leading blocks held in any tier, by target. */
  readonly depths: Int32Array;
  /** Of these, blocks only in host memory, and only on disk, by target; all zero while no such block is known. */
  readonly hostBlocks: Int32Array;
  readonly diskBlocks: Int32Array;
  /** Leading blocks in the storage that all targets share. */
  readonly sharedDepth: number;
  /** Table probes that it took. */
  readonly probes: number;
}

export interface PrefixIndexStats {
  /** Distinct blocks. */
  readonly blocks: number;
  /** (target, block) pairs. */
  readonly residencies: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** Residencies given up for the byte bound, and blocks refused because nothing could be given up. */
  readonly evicted: number;
  readonly refused: number;
  /** Blocks that are gone while a child of theirs is still held. */
  readonly holes: number;
}

/**
 * Which target holds which prefix. Its memory is reserved with the first block. Exact: a depth is never longer than what
 * the target holds without a hole, whatever the order of its evictions. Synchronous, with one writer; all bulk data lies
 * off the JavaScript heap.
 */
export interface PrefixIndex {
  /** What runs it. */
  readonly core: "wasm" | "typed";
  /** What another thread opens with `openSharedIndex`; undefined unless `isShared`. */
  readonly shared: SharedIndexHandle | undefined;
  readonly bytes: number;
  /** How many target numbers were given out so far. */
  readonly targets: number;
  stats(): PrefixIndexStats;
  /** A new target number; small numbers are reused. @throws RangeError beyond 4,096 targets. */
  addTarget(): number;
  /** Forgets a target and frees its number. Its memory is swept along with later events. */
  removeTarget(target: number): void;
  /** Forgets all blocks of a target, at once for lookups; its memory is swept along with later events. */
  clear(target: number): void;
  /** Residencies of a target, and the XOR of their names: equal on two indexes that saw the same events. */
  digest(target: number): { readonly blocks: number; readonly xor: bigint };
  /** Our name of the block that a target's engine calls `key`. */
  nameOf(target: number, key: bigint): bigint | undefined;
  /** A chain of blocks is now on a target, in a tier (default device). Returns how many were taken in. */
  store(target: number, blocks: StoredBlocks, tier?: number): number;
  /** Blocks left a tier of a target. By `keys` if given, else by name; unknown ones are ignored. */
  remove(target: number, names: BigUint64Array, keys: BigUint64Array | undefined, tier?: number): void;
  /** Like `store` and `remove`, for the storage that all targets read; always by name. */
  storeShared(blocks: StoredBlocks): number;
  removeShared(names: BigUint64Array): void;
  /**
   * Everything a target holds, as chains to store again, and its tier each: parents come before children. Walks all
   * nodes; for snapshots, not for requests.
   */
  dump(target: number): readonly DumpedBlocks[];
  /**
   * The same in steps of about a millisecond, between which the index may be changed. What is then in it is exact for every
   * block that was not stored, removed or cleared meanwhile: who applies those changes to the result as well has what the
   * target holds at its end.
   */
  dumpSteps(target: number): Generator<void, readonly DumpedBlocks[], void>;
  /** How deep each target holds the chain `names`. O(distinct depths * log(blocks)) probes while targets have no hole on it. */
  lookup(names: BigUint64Array): PrefixMatch;
  /** Does up to `nodes` steps of forgetting retired targets. Called along with events; call it when idle to hurry. */
  sweep(nodes: number): void;
}

import type { KvTier } from "@stator/core";

/** A block as tiers keep it: by its SHA-256 reuse key, never by its 64-bit routing name, which two prompts may share. */
export interface TierBlock {
  /** SHA-256 reuse key, 32 bytes. */
  readonly key: Uint8Array;
  /** Routing name (sequence hash), told in events only. */
  readonly name: bigint;
  readonly bytes: Uint8Array;
}

/** Blocks that came to or left a tier. */
export interface TierChange {
  readonly type: "stored" | "removed";
  readonly tier: KvTier;
  readonly key: Uint8Array;
  readonly name: bigint;
}

/** One level of storage. Every method is safe to call at any time; what fails to be kept is simply not there later. */
export interface Tier {
  readonly kind: KvTier;
  readonly budgetBytes: number;
  readonly usedBytes: number;
  readonly blocks: number;
  has(key: Uint8Array): boolean;
  /** The block, its bytes checked; `undefined` if it is not here or was damaged (then it is gone). */
  get(key: Uint8Array): Promise<TierBlock | undefined>;
  /** Keeps the block, evicting others. False if it can't be kept at all. */
  put(block: TierBlock): Promise<boolean>;
  remove(key: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Called by a tier for each change, in order. */
export type OnTierChange = (change: TierChange) => void;

/** A tier before its store opens it. */
export interface TierPlugin {
  open(onChange: OnTierChange): Promise<Tier>;
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("hex");
}

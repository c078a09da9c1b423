import type { KvTier } from "@stator/core";

/** A block as tiers keep it: by its SHA-256 reuse key, never by its 64-bit routing name, which two prompts may share. */
export interface TierBlock {
  /** SHA-256 reuse key, 32 bytes. */
  readonly key: Uint8Array;
  /** Routing name (sequence hash), told in events only. */
  readonly name: bigint;
  /** Routing name of the block before it; absent at the root of a prompt. Told in events only. */
  readonly parent?: bigint | undefined;
  /** Not to be written to, by whoever holds it. */
  readonly bytes: Uint8Array;
}

/** Blocks that came to or left a tier. */
export interface TierChange extends Omit<TierBlock, "bytes"> {
  readonly type: "stored" | "removed";
  readonly tier: KvTier;
}

/** One level of storage. Every method is safe to call at any time; what fails to be kept is simply not there later. */
export interface Tier {
  readonly kind: KvTier;
  readonly budgetBytes: number;
  readonly usedBytes: number;
  readonly blocks: number;
  has(key: Uint8Array): boolean;
  /** Length of the leading run of `keys` that is here, for a tier that other processes fill too: `has` only knows what this one has seen. */
  find?(keys: readonly Uint8Array[]): Promise<number>;
  /** The block, its bytes checked; `undefined` if it is not here or was damaged (then it is gone). */
  get(key: Uint8Array): Promise<TierBlock | undefined>;
  /** Keeps the block and its bytes, evicting others. False if it can't be kept at all. */
  put(block: TierBlock): Promise<boolean>;
  remove(key: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Called by a tier for each change, in order. */
export type OnTierChange = (change: TierChange) => void;

/** A tier before its store opens it. */
export interface TierPlugin {
  /** @param scope the store's: what another scope left behind is not told of, and goes first. */
  open(onChange: OnTierChange, scope: string): Promise<Tier>;
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

/** What a change tells of a block. */
export function changeOf(
  type: TierChange["type"],
  tier: KvTier,
  { key, name, parent }: Omit<TierBlock, "bytes">,
): TierChange {
  return { type, tier, key, name, ...(parent === undefined ? {} : { parent }) };
}

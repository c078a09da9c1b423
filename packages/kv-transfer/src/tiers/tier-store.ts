import type { KvTier } from "@stator/core";
import { transferError } from "../transfer-error.ts";
import type { OnTierChange, Tier, TierBlock, TierPlugin } from "./kv-tier.ts";

export interface TierStoreOptions {
  /** Fastest first. */
  readonly tiers: readonly TierPlugin[];
  /** Told of every block that comes to or leaves a tier: what the router's events are made of. */
  readonly onChange?: OnTierChange;
}

/** A block found, and where. */
export interface TierHit {
  readonly tier: KvTier;
  readonly bytes: Uint8Array;
}

/** KV blocks over several tiers. */
export interface TierStore {
  readonly tiers: readonly Tier[];
  /** The fastest tier that has it, without reading. */
  where(key: Uint8Array): KvTier | undefined;
  /** Length of the leading run of `keys` that some tier has: how much of a prompt need not be prefilled. */
  leading(keys: readonly Uint8Array[]): number;
  /** Reads the block and brings it to the tiers above the one that had it. */
  get(key: Uint8Array): Promise<TierHit | undefined>;
  /** Writes through to all tiers. Resolves when the fastest has it; the others go on, `settled` waits for them. */
  put(block: TierBlock): Promise<void>;
  settled(): Promise<void>;
  remove(key: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Opens tiers as one store. */
export async function createTierStore({
  tiers: plugins,
  onChange = () => undefined,
}: TierStoreOptions): Promise<TierStore> {
  if (plugins.length === 0)
    throw transferError("TRANSFER_OPTION_INVALID", "createTierStore needs at least one tier.");
  const tiers: Tier[] = [];
  for (const plugin of plugins) tiers.push(await plugin.open(onChange));
  const pending = new Set<Promise<unknown>>();
  const later = (work: Promise<unknown>): void => {
    pending.add(work);
    void work.catch(() => undefined).finally(() => pending.delete(work));
  };
  return {
    tiers,
    where: (key) => tiers.find((tier) => tier.has(key))?.kind,
    leading(keys) {
      const missing = keys.findIndex((key) => !tiers.some((tier) => tier.has(key)));
      return missing < 0 ? keys.length : missing;
    },
    async get(key) {
      for (const [level, tier] of tiers.entries()) {
        if (!tier.has(key)) continue;
        const block = await tier.get(key);
        if (block === undefined) continue;
        for (const above of tiers.slice(0, level)) await above.put(block);
        return { tier: tier.kind, bytes: block.bytes };
      }
      return undefined;
    },
    async put(block) {
      const [first, ...rest] = tiers;
      // Slower tiers write from their own copy: the caller may reuse its buffer when this resolves.
      const copy: TierBlock = rest.length === 0 ? block : { ...block, bytes: Uint8Array.from(block.bytes) };
      await first?.put(copy);
      for (const tier of rest) later(tier.put(copy));
    },
    async settled() {
      while (pending.size > 0) await Promise.allSettled(pending);
    },
    async remove(key) {
      await Promise.all(tiers.map((tier) => tier.remove(key)));
    },
    async close() {
      while (pending.size > 0) await Promise.allSettled(pending);
      await Promise.all(tiers.map((tier) => tier.close()));
    },
  };
}

import { noopMeter, type KvTier, type Meter } from "@stator/core";
import { transferError } from "../transfer-error.ts";
import type { OnTierChange, Tier, TierBlock, TierPlugin } from "./kv-tier.ts";
import { tierMetrics, type TierMetrics } from "./tier-metrics.ts";
import { createWriteBehind, type WriteBehind } from "./write-behind.ts";

export interface TierStoreOptions {
  /** Fastest first. */
  readonly tiers: readonly TierPlugin[];
  /** Told of every block that comes to or leaves a tier: what the router's events are made of. */
  readonly onChange?: OnTierChange;
  /** Bytes that may wait to be written to each tier but the fastest; beyond it blocks are not kept there. Default 256 MiB. */
  readonly maxPendingBytes?: number;
  /** What all blocks of this store have in common, such as weights and KV layout: blocks of another scope that a disk still holds are not told of, and go first. Default "". */
  readonly scope?: string;
  readonly meter?: Meter;
}

/** A block found, and where. */
export interface TierHit {
  readonly tier: KvTier;
  readonly block: TierBlock;
}

/** KV blocks over several tiers. */
export interface TierStore {
  readonly tiers: readonly Tier[];
  /** The fastest tier that has it, without reading. */
  where(key: Uint8Array): KvTier | undefined;
  /** Length of the leading run of `keys` that some tier has: how much of a prompt need not be prefilled. */
  leading(keys: readonly Uint8Array[]): number;
  /** As `leading`, after asking the tiers that other processes fill too. */
  find(keys: readonly Uint8Array[]): Promise<number>;
  /** Reads the block and brings it to the tiers above the one that had it. */
  get(key: Uint8Array): Promise<TierHit | undefined>;
  /** Reads leading blocks, several at once, up to the first that is nowhere or damaged. */
  read(keys: readonly Uint8Array[]): Promise<readonly TierHit[]>;
  /** Writes through to all tiers. Resolves when the fastest has it; the others go on, `settled` waits for them. The caller's buffer is free then. */
  put(block: TierBlock): Promise<void>;
  settled(): Promise<void>;
  remove(key: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export const defaultMaxPendingBytes: number = 256 * 2 ** 20;

const readersAtOnce = 8;

interface Level {
  readonly tier: Tier;
  readonly metrics: TierMetrics;
  /** Absent on the fastest: that one is waited for. */
  readonly behind: WriteBehind | undefined;
}

/** Opens tiers as one store. */
export async function createTierStore(options: TierStoreOptions): Promise<TierStore> {
  const {
    tiers: plugins,
    onChange,
    maxPendingBytes = defaultMaxPendingBytes,
    scope = "",
    meter = noopMeter,
  } = options;
  if (plugins.length === 0)
    throw transferError("TRANSFER_OPTION_INVALID", "createTierStore needs at least one tier.");
  const metricsOf = tierMetrics(meter);
  const series = new Map<KvTier, TierMetrics>();
  const metricsFor = (kind: KvTier): TierMetrics => {
    let found = series.get(kind);
    if (found === undefined) series.set(kind, (found = metricsOf(kind)));
    return found;
  };
  const levels: Level[] = [];
  for (const plugin of plugins) {
    let opened: Tier | undefined;
    const tier = (opened = await plugin.open((change) => {
      const metrics = metricsFor(change.tier);
      (change.type === "stored" ? metrics.stored : metrics.removed).add();
      if (opened !== undefined) metrics.holds(opened.blocks, opened.usedBytes);
      onChange?.(change);
    }, scope));
    const metrics = metricsFor(tier.kind);
    metrics.holds(tier.blocks, tier.usedBytes);
    const behind =
      levels.length === 0
        ? undefined
        : createWriteBehind({ tier, maxBytes: maxPendingBytes, onDropped: () => metrics.dropped.add() });
    levels.push({ tier, metrics, behind });
  }
  const tiers = levels.map(({ tier }) => tier);
  const settled = async (): Promise<void> => {
    for (const { behind } of levels) await behind?.settled();
  };
  const keep = async ({ tier, metrics, behind }: Level, block: TierBlock): Promise<void> => {
    if (behind !== undefined) behind.put(block);
    else if (!(await tier.put(block))) metrics.dropped.add();
  };
  const leading = (keys: readonly Uint8Array[]): number => {
    const missing = keys.findIndex((key) => !tiers.some((tier) => tier.has(key)));
    return missing < 0 ? keys.length : missing;
  };
  const get = async (key: Uint8Array): Promise<TierHit | undefined> => {
    for (const [depth, { tier, metrics }] of levels.entries()) {
      if (!tier.has(key)) continue;
      const startMs = performance.now();
      const block = await tier.get(key);
      if (block === undefined) {
        metrics.damaged.add();
        continue;
      }
      metrics.readSeconds.observe((performance.now() - startMs) / 1000);
      metrics.hits.add();
      metrics.hitBytes.add(block.bytes.length);
      for (const above of levels.slice(0, depth)) await keep(above, block);
      return { tier: tier.kind, block };
    }
    return undefined;
  };
  return {
    tiers,
    where: (key) => tiers.find((tier) => tier.has(key))?.kind,
    leading,
    async find(keys) {
      let found = leading(keys);
      for (const tier of tiers) {
        if (found === keys.length) break;
        if (tier.find === undefined) continue;
        await tier.find(keys.slice(found));
        found = leading(keys);
      }
      return found;
    },
    get,
    async read(keys) {
      const hits: TierHit[] = [];
      for (let from = 0; from < keys.length; from += readersAtOnce) {
        const some = await Promise.all(keys.slice(from, from + readersAtOnce).map(get));
        for (const hit of some) {
          if (hit === undefined) return hits;
          hits.push(hit);
        }
      }
      return hits;
    },
    async put(block) {
      if (tiers.every((tier) => tier.has(block.key))) return;
      // One copy for all tiers, of which each may hold on to it.
      const own: TierBlock = { ...block, key: new Uint8Array(block.key), bytes: new Uint8Array(block.bytes) };
      for (const level of levels) await keep(level, own);
    },
    settled,
    async remove(key) {
      await settled();
      await Promise.all(tiers.map((tier) => tier.remove(key)));
    },
    async close() {
      await settled();
      await Promise.all(tiers.map((tier) => tier.close()));
    },
  };
}

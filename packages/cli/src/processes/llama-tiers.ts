import { join, resolve } from "node:path";
import type { LayoutEngine } from "@stator/core";
import { diskTier, hostTier, sharedTier, type SharedTierOptions, type TierPlugin } from "@stator/kv-transfer";

const defaultHostBytes = 128 * 2 ** 20;
const defaultDiskBytes = 4 * 2 ** 30;

/**
 * The KV tiers that a layout names for one worker. Each worker has a folder of its own under `diskCache`, named after its
 * id, so that a worker restarted under the same id finds its blocks again.
 */
export function llamaTiers(
  engine: Extract<LayoutEngine, { kind: "llama" }>,
  worker: string,
  sharedCache: (name: string) => SharedTierOptions,
): TierPlugin[] {
  const { hostCacheBytes = defaultHostBytes, diskCache, diskCacheBytes = defaultDiskBytes } = engine;
  return [
    ...(hostCacheBytes === 0 ? [] : [hostTier({ budgetBytes: hostCacheBytes })]),
    ...(diskCache === undefined
      ? []
      : [diskTier({ directory: join(resolve(diskCache), worker), budgetBytes: diskCacheBytes })]),
    ...(engine.sharedCache === undefined ? [] : [sharedTier(sharedCache(engine.sharedCache))]),
  ];
}

import { transferError } from "../transfer-error.ts";
import { createEvictionOrder } from "./eviction-order.ts";
import { changeOf, keyText, type Tier, type TierBlock, type TierPlugin } from "./kv-tier.ts";

export interface HostTierOptions {
  /** Most bytes of blocks kept in this process's memory; 0 keeps none. */
  readonly budgetBytes: number;
}

/** Blocks in this process's memory. */
export function hostTier({ budgetBytes }: HostTierOptions): TierPlugin {
  if (!(budgetBytes >= 0))
    throw transferError("TRANSFER_OPTION_INVALID", "hostTier: budgetBytes must be at least 0.", {
      budgetBytes,
    });
  return {
    open(onChange) {
      const order = createEvictionOrder<TierBlock>();
      const drop = (key: string): void => {
        const block = order.delete(key);
        if (block !== undefined) onChange(changeOf("removed", "host", block));
      };
      const tier: Tier = {
        kind: "host",
        budgetBytes,
        get usedBytes() {
          return order.usedBytes;
        },
        get blocks() {
          return order.size;
        },
        has: (key) => order.peek(keyText(key)) !== undefined,
        get: (key) => Promise.resolve(order.use(keyText(key))),
        put(block) {
          const key = keyText(block.key);
          if (order.use(key) !== undefined) return Promise.resolve(true);
          if (block.bytes.length > budgetBytes) return Promise.resolve(false);
          while (order.usedBytes + block.bytes.length > budgetBytes) drop(order.victim() as string);
          order.set(key, block, block.bytes.length);
          onChange(changeOf("stored", "host", block));
          return Promise.resolve(true);
        },
        remove(key) {
          drop(keyText(key));
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
      };
      return Promise.resolve(tier);
    },
  };
}

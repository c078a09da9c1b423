import type { Tier, TierBlock } from "./kv-tier.ts";

export interface WriteBehindOptions {
  readonly tier: Tier;
  /** Bytes that may wait; further blocks are not kept in this tier. */
  readonly maxBytes: number;
  /** A block that was given up: the queue was full, or the tier could not keep it. */
  readonly onDropped: () => void;
}

/** Writes to a slow tier in the order they were given, a few at once, behind the back of the caller. */
export interface WriteBehind {
  /** False if the block is given up at once. */
  put(block: TierBlock): boolean;
  /** Resolves when nothing waits any more. */
  settled(): Promise<void>;
}

const writersAtOnce = 2;

export function createWriteBehind({ tier, maxBytes, onDropped }: WriteBehindOptions): WriteBehind {
  const waiting: TierBlock[] = [];
  const running = new Set<Promise<void>>();
  let bytes = 0;
  const write = async (): Promise<void> => {
    for (let block = waiting.shift(); block !== undefined; block = waiting.shift()) {
      const isKept = await tier.put(block).catch(() => false);
      bytes -= block.bytes.length;
      if (!isKept) onDropped();
    }
  };
  return {
    put(block) {
      if (bytes + block.bytes.length > maxBytes) {
        onDropped();
        return false;
      }
      bytes += block.bytes.length;
      waiting.push(block);
      if (running.size < writersAtOnce) {
        const writer = write().finally(() => running.delete(writer));
        running.add(writer);
      }
      return true;
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

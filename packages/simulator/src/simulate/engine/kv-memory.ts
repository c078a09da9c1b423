import type { NumberedBlocks } from "./block-numbers.ts";
import { createRecencyList } from "./recency-list.ts";

/** Hears which named blocks a tier gained and lost, so that KV events can be made of it. */
export interface KvListener {
  /** Blocks `from` to `to` of this chain are on the device now. */
  stored(chain: NumberedBlocks, from: number, to: number): void;
  removed(tier: "device" | "host", blocks: readonly number[]): void;
  /** A block evicted from the device lives on in host memory. */
  offloaded(block: number): void;
}

/** Leading blocks of a chain that one rank holds. */
export interface KvMatch {
  readonly deviceBlocks: number;
  /** Blocks after those of the device that host memory holds. */
  readonly hostBlocks: number;
}

/**
 * The KV blocks of one rank: blocks in use, counted once however many requests share them; unused blocks that stay as a
 * prefix cache, least recently used out first; and a host tier that takes what the device evicts.
 */
export interface KvMemory {
  readonly capacityBlocks: number;
  /** Blocks that running requests hold; the rest is cache or empty. */
  readonly usedBlocks: number;
  match(chain: Int32Array): KvMatch;
  /** Whether `blocks` more can be had by giving up cache. */
  fits(blocks: number): boolean;
  /** Holds the first `blocks` of a chain that the device has. */
  pin(chain: Int32Array, blocks: number): void;
  /** Takes blocks without a name: prompt in computation, output. Evicts cache as needed. */
  take(blocks: number): void;
  give(blocks: number): void;
  /** Blocks `from` to `to` of the chain, taken before, get their names; duplicates of known ones become free. */
  name(chain: NumberedBlocks, from: number, to: number): void;
  /** Lets go of a whole named chain; it stays as cache. */
  unpin(chain: Int32Array, blocks: number): void;
}

export function createKvMemory(capacityBlocks: number, hostBlocks: number, listener: KvListener): KvMemory {
  /** Requests that hold a block, by its number. */
  let holders = new Uint16Array(1024);
  let heldBlocks = 0;
  const cached = createRecencyList();
  const host = createRecencyList();
  let unnamed = 0;

  const used = (): number => heldBlocks + unnamed;
  const isHeld = (block: number): boolean => block < holders.length && holders[block]! > 0;

  /** Whether nobody held it before. */
  function hold(block: number): boolean {
    if (block >= holders.length) {
      const more = new Uint16Array(Math.max(holders.length * 2, block + 1));
      more.set(holders);
      holders = more;
    }
    if (holders[block]!++ > 0) return false;
    heldBlocks++;
    return true;
  }

  function evict(): void {
    if (used() + cached.size <= capacityBlocks || cached.size === 0) return;
    const evicted: number[] = [];
    const forgotten: number[] = [];
    while (used() + cached.size > capacityBlocks && cached.size > 0) {
      const block = cached.shift();
      evicted.push(block);
      if (hostBlocks === 0) continue;
      if (!host.delete(block)) listener.offloaded(block);
      host.add(block);
      if (host.size > hostBlocks) forgotten.push(host.shift());
    }
    listener.removed("device", evicted);
    if (forgotten.length > 0) listener.removed("host", forgotten);
  }

  return {
    capacityBlocks,
    get usedBlocks() {
      return used();
    },
    match(chain) {
      let deviceBlocks = 0;
      while (deviceBlocks < chain.length) {
        const block = chain[deviceBlocks]!;
        if (!isHeld(block) && !cached.has(block)) break;
        deviceBlocks++;
      }
      let depth = deviceBlocks;
      if (hostBlocks > 0) while (depth < chain.length && host.has(chain[depth]!)) depth++;
      return { deviceBlocks, hostBlocks: depth - deviceBlocks };
    },
    fits: (blocks) => used() + blocks <= capacityBlocks,
    pin(chain, blocks) {
      for (let i = 0; i < blocks; i++) {
        const block = chain[i]!;
        if (hold(block)) cached.delete(block);
      }
    },
    take(blocks) {
      unnamed += blocks;
      evict();
    },
    give(blocks) {
      unnamed -= blocks;
    },
    name(chain, from, to) {
      const { numbers } = chain;
      let run = -1;
      for (let i = from; i < to; i++) {
        const block = numbers[i]!;
        const isNew = hold(block) && !cached.delete(block);
        unnamed--;
        if (isNew && run < 0) run = i;
        if (!isNew && run >= 0) {
          listener.stored(chain, run, i);
          run = -1;
        }
      }
      if (run >= 0) listener.stored(chain, run, to);
    },
    unpin(chain, blocks) {
      // Tail first, as vLLM frees them: the beginning, which more requests share, stays longest.
      for (let i = blocks - 1; i >= 0; i--) {
        const block = chain[i]!;
        if (--holders[block]! > 0) continue;
        heldBlocks--;
        cached.add(block);
      }
      evict();
    },
  };
}

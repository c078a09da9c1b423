/** Hears which named blocks a tier gained and lost, so that KV events can be made of it. */
export interface KvListener {
  /** Blocks `from` to `to` of this chain are on the device now. */
  stored(chain: Int32Array, from: number, to: number): void;
  removed(tier: "device" | "host", block: number): void;
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
  /** Blocks `from` to the end of the chain, taken before, get their names; duplicates of known ones become free. */
  name(chain: Int32Array, from: number): void;
  /** Lets go of a whole named chain; it stays as cache. */
  unpin(chain: Int32Array, blocks: number): void;
}

export function createKvMemory(capacityBlocks: number, hostBlocks: number, listener: KvListener): KvMemory {
  const held = new Map<number, number>();
  // Insertion order is recency: the first key is the next to go.
  const cached = new Set<number>();
  const host = new Set<number>();
  let unnamed = 0;

  const used = (): number => held.size + unnamed;

  function evict(): void {
    for (const block of cached) {
      if (used() + cached.size <= capacityBlocks) return;
      cached.delete(block);
      if (hostBlocks > 0 && !host.delete(block)) listener.offloaded(block);
      listener.removed("device", block);
      if (hostBlocks === 0) continue;
      host.add(block);
      if (host.size <= hostBlocks) continue;
      const oldest = host.values().next().value!;
      host.delete(oldest);
      listener.removed("host", oldest);
    }
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
        if (!held.has(block) && !cached.has(block)) break;
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
        cached.delete(block);
        held.set(block, (held.get(block) ?? 0) + 1);
      }
    },
    take(blocks) {
      unnamed += blocks;
      evict();
    },
    give(blocks) {
      unnamed -= blocks;
    },
    name(chain, from) {
      let run = -1;
      for (let i = from; i < chain.length; i++) {
        const block = chain[i]!;
        const count = held.get(block);
        const isNew = count === undefined && !cached.delete(block);
        held.set(block, (count ?? 0) + 1);
        unnamed--;
        if (isNew && run < 0) run = i;
        if (!isNew && run >= 0) {
          listener.stored(chain, run, i);
          run = -1;
        }
      }
      if (run >= 0) listener.stored(chain, run, chain.length);
    },
    unpin(chain, blocks) {
      // Tail first, as vLLM frees them: the beginning, which more requests share, stays longest.
      for (let i = blocks - 1; i >= 0; i--) {
        const block = chain[i]!;
        const count = held.get(block)!;
        if (count > 1) held.set(block, count - 1);
        else {
          held.delete(block);
          cached.add(block);
        }
      }
      evict();
    },
  };
}

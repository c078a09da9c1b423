/** How an engine gives up unused blocks of one request: tail first as vLLM frees them, or head first. */
export type EvictionOrder = "tailFirst" | "headFirst";

/** A least-recently-used cache of KV blocks, by name. */
export interface BlockCache {
  readonly size: number;
  /** Leading blocks of the chain that are held. */
  depth(names: BigUint64Array): number;
  /** Marks the chain as used, adds what is missing, and evicts. Returns what was added and what had to go. */
  use(names: BigUint64Array): CacheChange;
  clear(): void;
}

export interface CacheChange {
  /** Where in the chain each run of added blocks begins and ends. */
  readonly added: readonly (readonly [number, number])[];
  readonly evicted: BigUint64Array;
}

export function createBlockCache(capacityBlocks: number, order: EvictionOrder = "tailFirst"): BlockCache {
  // Insertion order of the map is recency: the first key is the next to go.
  const blocks = new Map<bigint, true>();
  return {
    get size() {
      return blocks.size;
    },
    depth(names) {
      let count = 0;
      while (count < names.length && blocks.has(names[count]!)) count++;
      return count;
    },
    use(names) {
      const added: [number, number][] = [];
      for (let i = 0; i < names.length; i++) {
        if (blocks.has(names[i]!)) continue;
        const run = added[added.length - 1];
        if (run !== undefined && run[1] === i) run[1] = i + 1;
        else added.push([i, i + 1]);
      }
      for (let k = 0; k < names.length; k++) {
        const name = names[order === "headFirst" ? k : names.length - 1 - k]!;
        blocks.delete(name);
        blocks.set(name, true);
      }
      const evicted: bigint[] = [];
      while (blocks.size > capacityBlocks) {
        const name = blocks.keys().next().value!;
        blocks.delete(name);
        evicted.push(name);
      }
      return { added, evicted: BigUint64Array.from(evicted) };
    },
    clear: () => blocks.clear(),
  };
}

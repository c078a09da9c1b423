/** The obvious model of an index, for tests: per target, a map of name to tier mask. */
export interface NaiveIndex {
  store(target: number, names: readonly bigint[], tier: number): void;
  remove(target: number, names: readonly bigint[], tier: number): void;
  clear(target: number): void;
  depth(target: number, path: readonly bigint[]): number;
  blocksIn(target: number, path: readonly bigint[], tier: number): number;
  residencies(): number;
}

export function createNaiveIndex(): NaiveIndex {
  const held = new Map<number, Map<bigint, number>>();
  const of = (target: number): Map<bigint, number> => {
    let blocks = held.get(target);
    if (blocks === undefined) held.set(target, (blocks = new Map()));
    return blocks;
  };
  const depth = (target: number, path: readonly bigint[]): number => {
    const blocks = of(target);
    let count = 0;
    while (count < path.length && blocks.has(path[count]!)) count++;
    return count;
  };
  return {
    store(target, names, tier) {
      for (const name of names) of(target).set(name, (of(target).get(name) ?? 0) | tier);
    },
    remove(target, names, tier) {
      for (const name of names) {
        const left = (of(target).get(name) ?? 0) & ~tier;
        if (left === 0) of(target).delete(name);
        else of(target).set(name, left);
      }
    },
    clear: (target) => held.delete(target),
    depth,
    blocksIn(target, path, tier) {
      return path.slice(0, depth(target, path)).filter((name) => {
        const tiers = of(target).get(name)!;
        return (tiers & -tiers) === tier;
      }).length;
    },
    residencies: () => [...held.values()].reduce((sum, blocks) => sum + blocks.size, 0),
  };
}

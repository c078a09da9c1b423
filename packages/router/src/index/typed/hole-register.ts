import { PARENT, PLACE, UNKNOWN_DEPTH, type ResidencyNodes } from "./residency-nodes.ts";

/** Holes of one target: nodes that are not resident but have resident children. */
export interface Holes {
  readonly nodes: number[];
  /** How many of them lie at an unknown depth. */
  unplaced: number;
}

/**
 * Where targets have lost a block but kept what follows it. Few at any time: evictions take chains from one end. A hole
 * remembers its place here in its parent word, which it has no other use for.
 */
export interface HoleRegister {
  readonly byBit: readonly (Holes | undefined)[];
  count(): number;
  /** Changes whenever a target comes to have holes or to have none. */
  version(): number;
  add(bit: number, node: number): void;
  remove(bit: number, node: number): void;
  /** All of one target. */
  forget(bit: number): void;
}

export function createHoleRegister({ words }: ResidencyNodes): HoleRegister {
  const byBit: (Holes | undefined)[] = [];
  let count = 0;
  let version = 0;
  const isUnplaced = (node: number): number => (words[node + PLACE]! >>> 12 === UNKNOWN_DEPTH ? 1 : 0);
  return {
    byBit,
    count: () => count,
    version: () => version,
    add(bit, node) {
      while (byBit.length <= bit) byBit.push(undefined);
      const holes = (byBit[bit] ??= { nodes: [], unplaced: 0 });
      if (holes.nodes.length === 0) version++;
      words[node + PARENT] = holes.nodes.length;
      holes.nodes.push(node);
      holes.unplaced += isUnplaced(node);
      count++;
    },
    remove(bit, node) {
      const holes = byBit[bit];
      const place = words[node + PARENT]!;
      if (holes?.nodes[place] !== node) return;
      const last = holes.nodes.pop()!;
      if (last !== node) {
        holes.nodes[place] = last;
        words[last + PARENT] = place;
      }
      if (holes.nodes.length === 0) version++;
      words[node + PARENT] = -1;
      holes.unplaced -= isUnplaced(node);
      count--;
    },
    forget(bit) {
      const holes = byBit[bit];
      if (holes === undefined) return;
      count -= holes.nodes.length;
      byBit[bit] = undefined;
    },
  };
}

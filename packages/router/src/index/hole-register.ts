import { PLACE, ResidencyNodes, UNKNOWN_DEPTH } from "./residency-nodes.ts";

/** Holes of one target: nodes that are not resident but have resident children. */
export interface Holes {
  readonly nodes: Set<number>;
  /** How many of them lie at an unknown depth. */
  unplaced: number;
}

/** Where targets have lost a block but kept what follows it. Few at any time: evictions take chains from one end. */
export interface HoleRegister {
  readonly byBit: ReadonlyMap<number, Holes>;
  readonly count: number;
  add(bit: number, node: number): void;
  remove(bit: number, node: number): void;
  /** All of one target. */
  forget(bit: number): void;
}

export function createHoleRegister(nodes: ResidencyNodes): HoleRegister {
  const byBit = new Map<number, Holes>();
  let count = 0;
  const isUnplaced = (node: number): boolean =>
    nodes.chunk(node)[ResidencyNodes.offset(node) + PLACE]! >>> 12 === UNKNOWN_DEPTH;
  return {
    byBit,
    get count() {
      return count;
    },
    add(bit, node) {
      let holes = byBit.get(bit);
      if (holes === undefined) byBit.set(bit, (holes = { nodes: new Set(), unplaced: 0 }));
      if (holes.nodes.has(node)) return;
      holes.nodes.add(node);
      count++;
      if (isUnplaced(node)) holes.unplaced++;
    },
    remove(bit, node) {
      const holes = byBit.get(bit);
      if (holes === undefined || !holes.nodes.delete(node)) return;
      count--;
      if (isUnplaced(node)) holes.unplaced--;
      if (holes.nodes.size === 0) byBit.delete(bit);
    },
    forget(bit) {
      count -= byBit.get(bit)?.nodes.size ?? 0;
      byBit.delete(bit);
    },
  };
}

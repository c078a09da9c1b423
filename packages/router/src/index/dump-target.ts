import type { DumpedBlocks } from "./prefix-index.ts";
import { CHILDREN_TIERS, KEY_HI, KEY_LO, NAME_HI, NAME_LO, PARENT, PLACE } from "./typed/residency-nodes.ts";

/**
 * A target's blocks as chains, each of one tier mask, parents before children. Nodes lie from `start` to `end`, laid out as
 * in residency-nodes.ts whichever core wrote them.
 */
export function dumpTarget(words: Int32Array, start: number, end: number, bit: number): DumpedBlocks[] {
  const held: number[] = [];
  for (let node = start; node < end; node += 8) {
    if (
      words[node + PLACE] !== -1 &&
      (words[node + PLACE]! & 0xfff) === bit &&
      (words[node + CHILDREN_TIERS]! & 7) !== 0
    )
      held.push(node);
  }
  held.sort((a, b) => (words[a + PLACE]! >>> 12) - (words[b + PLACE]! >>> 12));
  const firstChild = new Map<number, number>();
  for (const node of held) {
    const parent = words[node + PARENT]!;
    if (parent > 0 && !firstChild.has(parent)) firstChild.set(parent, node);
  }
  const chains: DumpedBlocks[] = [];
  for (const node of held) {
    const parent = words[node + PARENT]!;
    if (parent > 0 && firstChild.get(parent) === node && isSameRun(words, parent, node)) continue;
    const run = [node];
    for (
      let next = firstChild.get(node);
      next !== undefined && isSameRun(words, run[run.length - 1]!, next);
      next = firstChild.get(next)
    ) {
      run.push(next);
    }
    chains.push({
      names: BigUint64Array.from(run, (each) => u64(words, each + NAME_LO, each + NAME_HI)),
      keys: BigUint64Array.from(run, (each) => u64(words, each + KEY_LO, each + KEY_HI)),
      parentName: parent <= 0 ? undefined : u64(words, parent + NAME_LO, parent + NAME_HI),
      parentKey: parent <= 0 ? undefined : u64(words, parent + KEY_LO, parent + KEY_HI),
      tiers: words[node + CHILDREN_TIERS]! & 15,
    });
  }
  return chains;
}

/** Whether a child goes on in its parent's chain: the parent is resident, in the same tiers. */
function isSameRun(words: Int32Array, parent: number, child: number): boolean {
  const tiers = words[parent + CHILDREN_TIERS]! & 7;
  return tiers !== 0 && tiers === (words[child + CHILDREN_TIERS]! & 7);
}

function u64(words: Int32Array, lo: number, hi: number): bigint {
  return (BigInt(words[hi]! >>> 0) << 32n) | BigInt(words[lo]! >>> 0);
}

import type { DumpedBlocks } from "./prefix-index.ts";
import { CHILDREN_TIERS, KEY_HI, KEY_LO, NAME_HI, NAME_LO, PARENT, PLACE } from "./typed/residency-nodes.ts";

/**
 * A target's blocks as chains, each of one tier mask, parents before children. Nodes lie from `start` to `end`, laid out as
 * in residency-nodes.ts whichever core wrote them. The names and keys of all chains share one buffer each.
 */
export function dumpTarget(words: Int32Array, start: number, end: number, bit: number): DumpedBlocks[] {
  const held = byDepth(words, nodesOf(words, start, end, bit));
  // A router that serves meanwhile waits for this: typed arrays, which cost a third of a sort and a map.
  const firstChild = new Int32Array((end - start) >>> 3);
  for (const node of held) {
    const parent = words[node + PARENT]!;
    if (parent > 0 && firstChild[(parent - start) >>> 3] === 0) firstChild[(parent - start) >>> 3] = node;
  }
  const names = new BigUint64Array(held.length);
  const keys = new BigUint64Array(held.length);
  const [nameWords, keyWords] = [new Int32Array(names.buffer), new Int32Array(keys.buffer)];
  const chains: DumpedBlocks[] = [];
  let at = 0;
  for (const node of held) {
    const parent = words[node + PARENT]!;
    if (parent > 0 && firstChild[(parent - start) >>> 3] === node && isSameRun(words, parent, node)) continue;
    const from = at;
    let next = node;
    do {
      nameWords[2 * at] = words[next + NAME_LO]!;
      nameWords[2 * at + 1] = words[next + NAME_HI]!;
      keyWords[2 * at] = words[next + KEY_LO]!;
      keyWords[2 * at + 1] = words[next + KEY_HI]!;
      at++;
      const last = next;
      next = firstChild[(last - start) >>> 3]!;
      if (next !== 0 && !isSameRun(words, last, next)) next = 0;
    } while (next !== 0);
    chains.push({
      names: names.subarray(from, at),
      keys: keys.subarray(from, at),
      parentName: parent <= 0 ? undefined : u64(words, parent + NAME_LO, parent + NAME_HI),
      parentKey: parent <= 0 ? undefined : u64(words, parent + KEY_LO, parent + KEY_HI),
      tiers: words[node + CHILDREN_TIERS]! & 15,
    });
  }
  return chains;
}

/** Nodes of resident blocks of a target. */
function nodesOf(words: Int32Array, start: number, end: number, bit: number): Int32Array {
  let found = new Int32Array(1024);
  let count = 0;
  for (let node = start; node < end; node += 8) {
    const place = words[node + PLACE]!;
    if ((place & 0xfff) !== bit || place === -1 || (words[node + CHILDREN_TIERS]! & 7) === 0) continue;
    if (count === found.length) {
      const larger = new Int32Array(2 * count);
      larger.set(found);
      found = larger;
    }
    found[count++] = node;
  }
  return found.subarray(0, count);
}

/** Sorted by counting: depths are small. */
function byDepth(words: Int32Array, nodes: Int32Array): Int32Array {
  let deepest = 0;
  for (const node of nodes) deepest = Math.max(deepest, words[node + PLACE]! >>> 12);
  const places = new Int32Array(deepest + 2);
  for (const node of nodes) places[(words[node + PLACE]! >>> 12) + 1]!++;
  for (let depth = 1; depth < places.length; depth++) places[depth]! += places[depth - 1]!;
  const sorted = new Int32Array(nodes.length);
  for (const node of nodes) sorted[places[words[node + PLACE]! >>> 12]!++] = node;
  return sorted;
}

/** Whether a child goes on in its parent's chain: the parent is resident, in the same tiers. */
function isSameRun(words: Int32Array, parent: number, child: number): boolean {
  const tiers = words[parent + CHILDREN_TIERS]! & 7;
  return tiers !== 0 && tiers === (words[child + CHILDREN_TIERS]! & 7);
}

function u64(words: Int32Array, lo: number, hi: number): bigint {
  return (BigInt(words[hi]! >>> 0) << 32n) | BigInt(words[lo]! >>> 0);
}

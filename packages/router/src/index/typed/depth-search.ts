import type { HoleRegister } from "./hole-register.ts";
import type { IndexParts } from "./index-parts.ts";
import { NAME_HI, NAME_LO, PLACE } from "./residency-nodes.ts";
import type { ResidencyTable } from "./residency-table.ts";
import type { TargetBits } from "./target-bits.ts";

/**
 * How deep each target holds a chain: galloping and bisecting over the set of targets that hold all so far, then again below
 * the first hole where a target has one on the path. Results by bit, until the next search.
 */
export class DepthSearch {
  depths: Int32Array = new Int32Array(0);
  host: Int32Array = new Int32Array(0);
  disk: Int32Array = new Int32Array(0);
  probes = 0;
  private readonly table: ResidencyTable;
  private readonly hostTable: ResidencyTable;
  private readonly diskTable: ResidencyTable;
  private readonly holes: HoleRegister;
  private readonly words: Int32Array;
  private readonly bits: TargetBits;
  private active: Int32Array = new Int32Array(0);

  constructor(parts: IndexParts, bits: TargetBits) {
    this.table = parts.table;
    this.hostTable = parts.hostTable;
    this.diskTable = parts.diskTable;
    this.holes = parts.holes;
    this.words = parts.memory.words;
    this.bits = bits;
  }

  /** Whether blocks in slower tiers were counted, too. */
  search(path: Int32Array, blocks: number): boolean {
    const { room, width } = this.bits;
    if (this.depths.length < room) {
      this.depths = new Int32Array(room);
      this.host = new Int32Array(room);
      this.disk = new Int32Array(room);
      this.active = new Int32Array(room / 32);
    }
    this.probes = 0;
    this.depths.fill(0, 0, width << 5);
    const deepest = this.gallop(path, blocks);
    if (this.holes.count() > 0 && deepest > 0) this.cutAtHoles(path);
    const hasTiers = deepest > 0 && this.hostTable.entries + this.diskTable.entries > 0;
    if (hasTiers) this.countTiers(path, deepest);
    return hasTiers;
  }

  /** Depth of every target by galloping and bisecting over the common set; exact but for holes. Returns the deepest. */
  private gallop(path: Int32Array, blocks: number): number {
    const { table, active } = this;
    const { live, width } = this.bits;
    if (blocks === 0) return 0;
    this.probes++;
    let slot = table.find(path[0]! || 1, path[1]!);
    if (slot < 0) return 0;
    let any = 0;
    for (let k = 0; k < width; k++) {
      const bits = this.wordAt(slot, k) & live[k]!;
      active[k] = bits;
      any |= bits;
    }
    if (any === 0) return 0;
    let depth = 0;
    let step = 1;
    while (depth < blocks - 1) {
      let probe = Math.min(depth + step, blocks - 1);
      if (this.holdsAll(path, probe)) {
        depth = probe;
        step *= 2;
        continue;
      }
      let low = depth;
      while (probe - low > 1) {
        const middle = (low + probe) >>> 1;
        if (this.holdsAll(path, middle)) low = middle;
        else probe = middle;
      }
      this.probes++;
      slot = table.find(path[2 * probe]! || 1, path[2 * probe + 1]!);
      any = 0;
      for (let k = 0; k < width; k++) {
        const keep = slot < 0 ? 0 : this.wordAt(slot, k) & active[k]!;
        this.settle(k, active[k]! & ~keep, probe);
        active[k] = keep;
        any |= keep;
      }
      if (any === 0) return probe;
      depth = probe;
      step = 1;
    }
    for (let k = 0; k < width; k++) this.settle(k, active[k]!, blocks);
    return blocks;
  }

  private settle(word: number, bits: number, depth: number): void {
    for (let rest = bits; rest !== 0;) {
      const bit = 31 - Math.clz32(rest);
      this.depths[(word << 5) + bit] = depth;
      rest &= ~(1 << bit);
    }
  }

  private wordAt(slot: number, word: number): number {
    return word + 2 < this.table.stride ? this.words[slot + 2 + word]! : 0;
  }

  private holdsAll(path: Int32Array, block: number): boolean {
    this.probes++;
    const { table, active, words } = this;
    const { width } = this.bits;
    const slot = table.find(path[2 * block]! || 1, path[2 * block + 1]!);
    if (slot < 0) return false;
    const held = table.stride - 2;
    for (let k = 0; k < width; k++) {
      const wanted = active[k]!;
      if (wanted !== 0 && (k >= held || (words[slot + 2 + k]! & wanted) !== wanted)) return false;
    }
    return true;
  }

  /** Holes of a target on the path end its depth before them: below the first one it holds a closed run again. */
  private cutAtHoles(path: Int32Array): void {
    const { words } = this;
    const { byBit } = this.holes;
    for (let bit = 0; bit < byBit.length; bit++) {
      const holes = byBit[bit];
      const claimed = this.depths[bit]!;
      if (holes === undefined || claimed === 0) continue;
      const { nodes } = holes;
      if (holes.unplaced > 0 || nodes.length > 64) {
        this.depths[bit] = this.walk(path, bit, claimed);
        continue;
      }
      let first = claimed;
      for (let i = 0; i < nodes.length; i++) {
        const node = nodes[i]!;
        const depth = words[node + PLACE]! >>> 12;
        if (
          depth < first &&
          words[node + NAME_LO] === path[2 * depth] &&
          words[node + NAME_HI] === path[2 * depth + 1]
        )
          first = depth;
      }
      if (first < claimed) this.depths[bit] = this.bisect(path, bit, first);
    }
  }

  private walk(path: Int32Array, bit: number, limit: number): number {
    for (let i = 0; i < limit; i++) {
      this.probes++;
      if (!this.table.has(path[2 * i]! || 1, path[2 * i + 1]!, bit)) return i;
    }
    return limit;
  }

  private bisect(path: Int32Array, bit: number, limit: number): number {
    let low = 0;
    let high = limit;
    while (low < high) {
      const middle = (low + high) >>> 1;
      this.probes++;
      if (this.table.has(path[2 * middle]! || 1, path[2 * middle + 1]!, bit)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private countTiers(path: Int32Array, deepest: number): void {
    this.host.fill(0, 0, this.bits.width << 5);
    this.disk.fill(0, 0, this.bits.width << 5);
    for (const [table, counts] of [
      [this.hostTable, this.host],
      [this.diskTable, this.disk],
    ] as const) {
      if (table.entries === 0) continue;
      for (let i = 0; i < deepest; i++) {
        const slot = table.find(path[2 * i]! || 1, path[2 * i + 1]!);
        if (slot < 0) continue;
        const held = Math.min(table.stride - 2, this.bits.width);
        for (let k = 0; k < held; k++) {
          for (let rest = this.words[slot + 2 + k]! & this.bits.live[k]!; rest !== 0;) {
            const low = 31 - Math.clz32(rest);
            const bit = (k << 5) + low;
            if (i < this.depths[bit]!) counts[bit]!++;
            rest &= ~(1 << low);
          }
        }
      }
    }
  }
}

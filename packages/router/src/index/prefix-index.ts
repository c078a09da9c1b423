import { createHoleRegister, type HoleRegister } from "./hole-register.ts";
import {
  CHILDREN_TIERS,
  MAX_TARGETS,
  NAME_HI,
  NAME_LO,
  NODE_CHUNK_BYTES,
  PARENT,
  PLACE,
  ResidencyNodes,
  UNKNOWN_DEPTH,
} from "./residency-nodes.ts";
import { ResidencyTable, SEGMENT_SLOTS, type SegmentMemory } from "./residency-table.ts";

/** Tiers of one target, best first, as bits. */
export const TIER_DEVICE: number = 1;
export const TIER_HOST: number = 2;
export const TIER_DISK: number = 4;

/** Default bound of an index: 256 MiB, about 3.3 million blocks held twice on up to 32 targets. */
export const DEFAULT_INDEX_BYTES: number = 256 * 1024 * 1024;

export interface PrefixIndexOptions {
  /** Hard bound of all tables together, in bytes. Default 256 MiB; at least 1 MiB. */
  readonly maxBytes?: number;
}

/** Blocks as an event names them. */
export interface StoredBlocks {
  readonly names: BigUint64Array;
  /** The engine's own keys, if they differ from the names. */
  readonly keys?: BigUint64Array | undefined;
  readonly parentName?: bigint | undefined;
  readonly parentKey?: bigint | undefined;
}

/** What a lookup found; reused by the next lookup of the same index. */
export interface PrefixMatch {
  /** Leading blocks held in any tier, by target. */
  readonly depths: Int32Array;
  /** Of these, blocks only in host memory, and only on disk, by target; all zero while no such block is known. */
  readonly hostBlocks: Int32Array;
  readonly diskBlocks: Int32Array;
  /** Leading blocks in the storage that all targets share. */
  sharedDepth: number;
  /** Table probes that it took. */
  probes: number;
}

export interface PrefixIndexStats {
  /** Distinct blocks. */
  readonly blocks: number;
  /** (target, block) pairs. */
  readonly residencies: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** Residencies given up for the byte bound, and blocks refused because nothing could be given up. */
  readonly evicted: number;
  readonly refused: number;
  /** Blocks that are gone while a child of theirs is still held. */
  readonly holes: number;
}

const width = (target: number): number => (target >>> 5) + 1;

/**
 * Which target holds which prefix. Exact: a depth is never longer than what the target holds without a hole, whatever
 * the order of its evictions. Synchronous and single-threaded; all bulk data lies off the JavaScript heap.
 */
export class PrefixIndex {
  readonly table: ResidencyTable;
  readonly nodes: ResidencyNodes;
  readonly maxBytes: number;
  readonly match: PrefixMatch;
  private readonly hostTable: ResidencyTable;
  private readonly diskTable: ResidencyTable;
  private readonly holes: HoleRegister;
  private tableBytes = 0;
  /** By public target number: the number its bits have now; changes when it is cleared. */
  private readonly bitOf: number[] = [];
  private readonly isBitTaken = new Uint8Array(MAX_TARGETS);
  private readonly isBitRetired = new Uint8Array(MAX_TARGETS);
  private readonly blocksOfBit = new Int32Array(MAX_TARGETS);
  private readonly digestLo = new Int32Array(MAX_TARGETS);
  private readonly digestHi = new Int32Array(MAX_TARGETS);
  private readonly bitDepths = new Int32Array(MAX_TARGETS);
  private readonly bitHost = new Int32Array(MAX_TARGETS);
  private readonly bitDisk = new Int32Array(MAX_TARGETS);
  private words = 1;
  private live = new Uint32Array(MAX_TARGETS / 32);
  private readonly active = new Uint32Array(MAX_TARGETS / 32);
  private retired: number[] = [];
  private sweeping: number[] = [];
  private sweepAt = 0;
  private hand = 0;
  private evicted = 0;
  private refused = 0;
  private sharedTarget = -1;
  private readonly freeTargets: number[] = [];

  constructor(options: PrefixIndexOptions = {}, memory?: SegmentMemory) {
    this.maxBytes = options.maxBytes ?? DEFAULT_INDEX_BYTES;
    const owned: SegmentMemory = {
      allocate: (stride) => {
        const bytes = SEGMENT_SLOTS * stride * 4;
        if (!this.hasRoom(bytes)) return undefined;
        this.tableBytes += bytes;
        return new Uint32Array(SEGMENT_SLOTS * stride);
      },
      free: (segment) => {
        this.tableBytes -= segment.byteLength;
      },
    };
    this.nodes = new ResidencyNodes(() => this.hasNodeRoom());
    this.table = new ResidencyTable(memory ?? owned);
    this.hostTable = new ResidencyTable(owned);
    this.diskTable = new ResidencyTable(owned);
    this.holes = createHoleRegister(this.nodes);
    this.match = {
      depths: new Int32Array(MAX_TARGETS),
      hostBlocks: new Int32Array(MAX_TARGETS),
      diskBlocks: new Int32Array(MAX_TARGETS),
      sharedDepth: 0,
      probes: 0,
    };
  }

  get bytes(): number {
    return this.tableBytes + (this.nodes === undefined ? 0 : this.nodes.bytes);
  }

  stats(): PrefixIndexStats {
    return {
      blocks: this.table.entries,
      residencies: this.nodes.count - this.holes.count,
      bytes: this.bytes,
      maxBytes: this.maxBytes,
      evicted: this.evicted,
      refused: this.refused,
      holes: this.holes.count,
    };
  }

  /** A new target number; small numbers are reused. @throws RangeError beyond 4,096 targets. */
  addTarget(): number {
    const target = this.freeTargets.pop() ?? this.bitOf.length;
    this.bitOf[target] = this.takeBit();
    return target;
  }

  /** Forgets a target and frees its number. Its memory is swept along with later events. */
  removeTarget(target: number): void {
    this.retireBit(this.bitOf[target]!);
    this.bitOf[target] = -1;
    this.freeTargets.push(target);
  }

  /** Forgets all blocks of a target, at once for lookups; its memory is swept along with later events. */
  clear(target: number): void {
    this.retireBit(this.bitOf[target]!);
    this.bitOf[target] = this.takeBit();
  }

  /** Residencies of a target, and the XOR of their names: equal on two indexes that saw the same events. */
  digest(target: number): { readonly blocks: number; readonly xor: bigint } {
    const bit = this.bitOf[target]!;
    const xor = (BigInt(this.digestHi[bit]! >>> 0) << 32n) | BigInt(this.digestLo[bit]! >>> 0);
    return { blocks: this.blocksOfBit[bit]!, xor };
  }

  /** Our name of the block that a target's engine calls `key`. */
  nameOf(target: number, key: bigint): bigint | undefined {
    const id = this.findNode(this.bitOf[target]!, key);
    if (id < 0) return undefined;
    const chunk = this.nodes.chunk(id);
    const at = ResidencyNodes.offset(id);
    return (BigInt(chunk[at + NAME_HI]! >>> 0) << 32n) | BigInt(chunk[at + NAME_LO]! >>> 0);
  }

  /** A chain of blocks is now on a target, in a tier. Returns how many were taken in. */
  store(target: number, blocks: StoredBlocks, tier: number = TIER_DEVICE): number {
    this.sweep(blocks.names.length);
    return this.storeBit(this.bitOf[target]!, blocks, tier);
  }

  /** Blocks left a tier of a target. By `keys` if given, else by name; unknown ones are ignored. */
  remove(target: number, names: BigUint64Array, keys: BigUint64Array | undefined, tier: number = TIER_DEVICE): void {
    const words = wordsOf(keys ?? names);
    this.sweep(words.length >>> 1);
    this.removeWords(this.bitOf[target]!, words, tier);
  }

  /** Like `store` and `remove`, for the storage that all targets read; always by name. */
  storeShared(blocks: StoredBlocks): number {
    if (this.sharedTarget < 0) this.sharedTarget = this.addTarget();
    return this.store(this.sharedTarget, { names: blocks.names, parentName: blocks.parentName });
  }

  removeShared(names: BigUint64Array): void {
    if (this.sharedTarget >= 0) this.remove(this.sharedTarget, names, undefined);
  }

  /** How deep each target holds the chain `names`. O(distinct depths * log(blocks)) probes while targets have no hole on it. */
  lookup(names: BigUint64Array): PrefixMatch {
    const { match, bitOf, bitDepths } = this;
    const path = wordsOf(names);
    match.probes = 0;
    bitDepths.fill(0, 0, this.words << 5);
    const deepest = this.gallop(path, names.length);
    if (this.holes.count > 0 && deepest > 0) this.cutAtHoles(path);
    const hasTiers = deepest > 0 && this.hostTable.entries + this.diskTable.entries > 0;
    if (hasTiers) this.countTiers(path, deepest);
    for (let target = 0; target < bitOf.length; target++) {
      const bit = bitOf[target]!;
      match.depths[target] = bit < 0 ? 0 : bitDepths[bit]!;
      match.hostBlocks[target] = hasTiers && bit >= 0 ? this.bitHost[bit]! : 0;
      match.diskBlocks[target] = hasTiers && bit >= 0 ? this.bitDisk[bit]! : 0;
    }
    match.sharedDepth = this.sharedTarget < 0 ? 0 : match.depths[this.sharedTarget]!;
    return match;
  }

  /** Does up to `nodes` steps of forgetting retired targets. Called along with events; call it when idle to hurry. */
  sweep(nodes: number): void {
    if (this.sweeping.length === 0) {
      if (this.retired.length === 0) return;
      this.sweeping = this.retired;
      this.retired = [];
      this.sweepAt = 0;
    }
    const end = Math.min(this.nodes.end, this.sweepAt + 4 * nodes + 64);
    for (; this.sweepAt < end; this.sweepAt++) {
      if (!this.nodes.isLive(this.sweepAt)) continue;
      const bit = this.nodes.chunk(this.sweepAt)[ResidencyNodes.offset(this.sweepAt) + PLACE]! & 0xfff;
      if (this.isBitRetired[bit] === 0) continue;
      // A bit retired during this round loses its nodes early; its own round then finds fewer.
      this.setTiers(this.sweepAt, 0);
      this.nodes.free(this.sweepAt);
    }
    if (this.sweepAt < this.nodes.end) return;
    for (const bit of this.sweeping) {
      this.isBitRetired[bit] = 0;
      this.isBitTaken[bit] = 0;
    }
    this.sweeping = [];
  }

  private hasRoom(bytes: number): boolean {
    return this.bytes + bytes <= this.maxBytes;
  }

  /** Nodes leave some room, so that table segments of uneven fill can still split. */
  private hasNodeRoom(): boolean {
    return this.bytes + NODE_CHUNK_BYTES <= this.maxBytes - (this.maxBytes >>> 5);
  }

  private takeBit(): number {
    const bit = this.isBitTaken.indexOf(0);
    if (bit < 0) throw new RangeError(`An index holds at most ${MAX_TARGETS} targets.`);
    this.isBitTaken[bit] = 1;
    this.live[bit >>> 5]! |= 1 << (bit & 31);
    this.words = Math.max(this.words, width(bit));
    this.blocksOfBit[bit] = 0;
    this.digestLo[bit] = 0;
    this.digestHi[bit] = 0;
    return bit;
  }

  private retireBit(bit: number): void {
    this.live[bit >>> 5]! &= ~(1 << (bit & 31));
    this.holes.forget(bit);
    this.isBitRetired[bit] = 1;
    this.retired.push(bit);
  }

  private findNode(bit: number, key: bigint): number {
    return this.nodes.find(bit, Number(BigInt.asIntN(32, key)), Number(BigInt.asIntN(32, key >> 32n)));
  }

  private parentNode(bit: number, blocks: StoredBlocks): number {
    const key = blocks.parentKey ?? blocks.parentName;
    if (key === undefined) return -1;
    const known = this.findNode(bit, key);
    if (known >= 0) return known;
    // Never seen, or given up: a hole at an unknown depth.
    const name = blocks.parentName ?? key;
    const id = this.nodes.add(
      bit,
      Number(BigInt.asIntN(32, key)),
      Number(BigInt.asIntN(32, key >> 32n)),
      Number(BigInt.asIntN(32, name)),
      Number(BigInt.asIntN(32, name >> 32n)),
      UNKNOWN_DEPTH,
    );
    if (id >= 0) this.holes.add(bit, id);
    return id < 0 ? -2 : id;
  }

  private storeBit(bit: number, blocks: StoredBlocks, tier: number): number {
    const names = wordsOf(blocks.names);
    const keys = blocks.keys === undefined ? names : wordsOf(blocks.keys);
    const count = blocks.names.length;
    let parent = this.parentNode(bit, blocks);
    if (parent === -2) {
      this.refused += count;
      return 0;
    }
    let depth = parent < 0 ? 0 : nextDepth(this.nodes.chunk(parent)[ResidencyNodes.offset(parent) + PLACE]! >>> 12);
    for (let i = 0; i < count; i++) {
      const lo = names[2 * i]!;
      const hi = names[2 * i + 1]!;
      let id = this.nodes.find(bit, keys[2 * i]! | 0, keys[2 * i + 1]! | 0);
      if (id >= 0 && !this.isNamed(id, lo | 0, hi | 0)) id = -1;
      if (id < 0) {
        if (!this.nodes.hasFree && !this.hasNodeRoom()) this.evict(parent);
        id = this.nodes.add(bit, keys[2 * i]! | 0, keys[2 * i + 1]! | 0, lo | 0, hi | 0, depth);
      }
      const chunk = id < 0 ? undefined : this.nodes.chunk(id);
      const at = ResidencyNodes.offset(id);
      const before = chunk === undefined ? 0 : chunk[at + CHILDREN_TIERS]! & 15;
      if (chunk !== undefined && before === 0) {
        if (this.table.add(lo || 1, hi, bit)) this.arrive(bit, id, chunk, at, parent, depth);
        else {
          if (chunk[at + CHILDREN_TIERS] === 0) this.nodes.free(id);
          id = -1;
        }
      }
      if (id < 0 || chunk === undefined) {
        this.refused += count - i;
        this.dropIfEmpty(bit, parent);
        return i;
      }
      if ((before & tier) === 0) this.setTiers(id, before | tier);
      parent = id;
      depth = nextDepth(chunk[at + PLACE]! >>> 12);
    }
    return count;
  }

  /** A block is resident again or for the first time. */
  private arrive(bit: number, id: number, chunk: Int32Array, at: number, parent: number, depth: number): void {
    if (chunk[at + CHILDREN_TIERS]! >>> 4 !== 0) this.holes.remove(bit, id);
    chunk[at + PARENT] = parent;
    chunk[at + PLACE] = (depth << 12) | bit;
    if (parent >= 0) this.nodes.chunk(parent)[ResidencyNodes.offset(parent) + CHILDREN_TIERS]! += 16;
    this.blocksOfBit[bit]!++;
    this.digestLo[bit]! ^= chunk[at + NAME_LO]!;
    this.digestHi[bit]! ^= chunk[at + NAME_HI]!;
  }

  private isNamed(id: number, lo: number, hi: number): boolean {
    const chunk = this.nodes.chunk(id);
    const at = ResidencyNodes.offset(id);
    return chunk[at + NAME_LO] === lo && chunk[at + NAME_HI] === hi;
  }

  private removeWords(bit: number, keys: Uint32Array, tier: number): void {
    for (let i = 0; i < keys.length; i += 2) {
      const id = this.nodes.find(bit, keys[i]! | 0, keys[i + 1]! | 0);
      if (id < 0) continue;
      const before = this.nodes.chunk(id)[ResidencyNodes.offset(id) + CHILDREN_TIERS]! & 15;
      if ((before & tier) === 0) continue;
      this.setTiers(id, before & ~tier);
      if (before === tier) this.depart(bit, id);
    }
  }

  /** The last tier lost a block: unlink it, or keep it as a hole while it has resident children. */
  private depart(bit: number, id: number): void {
    const chunk = this.nodes.chunk(id);
    const at = ResidencyNodes.offset(id);
    const parent = chunk[at + PARENT]!;
    this.blocksOfBit[bit]!--;
    this.digestLo[bit]! ^= chunk[at + NAME_LO]!;
    this.digestHi[bit]! ^= chunk[at + NAME_HI]!;
    if (chunk[at + CHILDREN_TIERS]! >>> 4 === 0) this.nodes.free(id);
    else {
      chunk[at + PARENT] = -1;
      this.holes.add(bit, id);
    }
    if (parent < 0) return;
    this.nodes.chunk(parent)[ResidencyNodes.offset(parent) + CHILDREN_TIERS]! -= 16;
    this.dropIfEmpty(bit, parent);
  }

  private dropIfEmpty(bit: number, id: number): void {
    if (id < 0 || this.nodes.chunk(id)[ResidencyNodes.offset(id) + CHILDREN_TIERS] !== 0) return;
    this.holes.remove(bit, id);
    this.nodes.free(id);
  }

  /** Writes a node's tier mask and keeps the three tables in step with it. The caller keeps the links. */
  private setTiers(id: number, tiers: number): void {
    const chunk = this.nodes.chunk(id);
    const at = ResidencyNodes.offset(id);
    const before = chunk[at + CHILDREN_TIERS]! & 15;
    chunk[at + CHILDREN_TIERS] = (chunk[at + CHILDREN_TIERS]! & ~15) | tiers;
    const lo = chunk[at + NAME_LO]! >>> 0 || 1;
    const hi = chunk[at + NAME_HI]! >>> 0;
    const bit = chunk[at + PLACE]! & 0xfff;
    if (tiers === 0) this.table.remove(lo, hi, bit);
    const was = before === 0 ? 0 : before & -before;
    const is = tiers === 0 ? 0 : tiers & -tiers;
    if (was === is) return;
    if (was === TIER_HOST) this.hostTable.remove(lo, hi, bit);
    else if (was === TIER_DISK) this.diskTable.remove(lo, hi, bit);
    if (is === TIER_HOST) this.hostTable.add(lo, hi, bit);
    else if (is === TIER_DISK) this.diskTable.add(lo, hi, bit);
  }

  /** Gives up leaves, round the clock, of targets that hold at least the mean. */
  private evict(keep: number): void {
    let targets = 0;
    for (const bit of this.bitOf) if (bit >= 0) targets++;
    const fair = this.nodes.count / Math.max(1, targets) / 2;
    for (let steps = 0, freed = 0; steps < 4096 && freed < 1; steps++) {
      if (this.hand >= this.nodes.end) this.hand = 0;
      const id = this.hand++;
      if (id === keep || !this.nodes.isLive(id)) continue;
      const chunk = this.nodes.chunk(id);
      const at = ResidencyNodes.offset(id);
      const state = chunk[at + CHILDREN_TIERS]!;
      const bit = chunk[at + PLACE]! & 0xfff;
      if (state >>> 4 !== 0 || (state & 15) === 0 || this.isBitRetired[bit] === 1 || this.blocksOfBit[bit]! < fair) continue;
      // Its parent may become a leaf, or be `keep`: only links change, `keep` itself stays.
      const parent = chunk[at + PARENT]!;
      if (parent === keep && keep >= 0 && (this.nodes.chunk(keep)[ResidencyNodes.offset(keep) + CHILDREN_TIERS]! & 15) === 0) continue;
      this.setTiers(id, 0);
      this.depart(bit, id);
      this.evicted++;
      freed++;
    }
  }

  /** Depth of every target by galloping and bisecting over the common set; exact but for holes. Returns the deepest. */
  private gallop(path: Uint32Array, blocks: number): number {
    const { table, active, live, words } = this;
    if (blocks === 0) return 0;
    this.match.probes++;
    let slot = table.find(path[0]! || 1, path[1]!);
    if (slot < 0) return 0;
    let any = 0;
    for (let k = 0; k < words; k++) {
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
      this.match.probes++;
      slot = table.find(path[2 * probe]! || 1, path[2 * probe + 1]!);
      any = 0;
      for (let k = 0; k < words; k++) {
        const keep = slot < 0 ? 0 : this.wordAt(slot, k) & active[k]!;
        this.settle(k, active[k]! & ~keep, probe);
        active[k] = keep;
        any |= keep;
      }
      if (any === 0) return probe;
      depth = probe;
      step = 1;
    }
    for (let k = 0; k < words; k++) this.settle(k, active[k]!, blocks);
    return blocks;
  }

  private settle(word: number, bits: number, depth: number): void {
    for (let rest = bits; rest !== 0; ) {
      const bit = 31 - Math.clz32(rest);
      this.bitDepths[(word << 5) + bit] = depth;
      rest &= ~(1 << bit);
    }
  }

  private wordAt(slot: number, word: number): number {
    return word + 2 < this.table.strides[this.table.at]! ? this.table.segments[this.table.at]![slot + 2 + word]! : 0;
  }

  private holdsAll(path: Uint32Array, block: number): boolean {
    this.match.probes++;
    const { table, active } = this;
    const slot = table.find(path[2 * block]! || 1, path[2 * block + 1]!);
    if (slot < 0) return false;
    const slots = table.segments[table.at]!;
    const words = table.strides[table.at]! - 2;
    for (let k = 0; k < this.words; k++) {
      const wanted = active[k]!;
      if (wanted !== 0 && (k >= words || (slots[slot + 2 + k]! & wanted) >>> 0 !== wanted)) return false;
    }
    return true;
  }

  /** Holes of a target on the path end its depth before them: below the first one it holds a closed run again. */
  private cutAtHoles(path: Uint32Array): void {
    for (const [bit, holes] of this.holes.byBit) {
      const claimed = this.bitDepths[bit]!;
      if (claimed === 0) continue;
      if (holes.unplaced > 0 || holes.nodes.size > 64) {
        this.bitDepths[bit] = this.walk(path, bit, claimed);
        continue;
      }
      let first = claimed;
      for (const id of holes.nodes) {
        const chunk = this.nodes.chunk(id);
        const at = ResidencyNodes.offset(id);
        const depth = chunk[at + PLACE]! >>> 12;
        if (depth >= first || chunk[at + NAME_LO] !== (path[2 * depth]! | 0) || chunk[at + NAME_HI] !== (path[2 * depth + 1]! | 0)) continue;
        first = depth;
      }
      if (first < claimed) this.bitDepths[bit] = this.bisect(path, bit, first);
    }
  }

  private walk(path: Uint32Array, bit: number, limit: number): number {
    for (let i = 0; i < limit; i++) {
      this.match.probes++;
      if (!this.table.has(path[2 * i]! || 1, path[2 * i + 1]!, bit)) return i;
    }
    return limit;
  }

  private bisect(path: Uint32Array, bit: number, limit: number): number {
    let low = 0;
    let high = limit;
    while (low < high) {
      const middle = (low + high) >>> 1;
      this.match.probes++;
      if (this.table.has(path[2 * middle]! || 1, path[2 * middle + 1]!, bit)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private countTiers(path: Uint32Array, deepest: number): void {
    this.bitHost.fill(0, 0, this.words << 5);
    this.bitDisk.fill(0, 0, this.words << 5);
    for (const [table, counts] of [[this.hostTable, this.bitHost], [this.diskTable, this.bitDisk]] as const) {
      if (table.entries === 0) continue;
      for (let i = 0; i < deepest; i++) {
        const slot = table.find(path[2 * i]! || 1, path[2 * i + 1]!);
        if (slot < 0) continue;
        const slots = table.segments[table.at]!;
        const words = Math.min(table.strides[table.at]! - 2, this.words);
        for (let k = 0; k < words; k++) {
          for (let rest = slots[slot + 2 + k]! & this.live[k]!; rest !== 0; ) {
            const low = 31 - Math.clz32(rest);
            const bit = (k << 5) + low;
            if (i < this.bitDepths[bit]!) counts[bit]!++;
            rest &= ~(1 << low);
          }
        }
      }
    }
  }
}

function nextDepth(depth: number): number {
  return depth >= UNKNOWN_DEPTH - 1 ? UNKNOWN_DEPTH : depth + 1;
}

/** The low and high words of 64-bit names, in place on little-endian machines. */
export function wordsOf(names: BigUint64Array): Uint32Array {
  return new Uint32Array(names.buffer, names.byteOffset, names.length * 2);
}

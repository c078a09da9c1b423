import { createHoleRegister, type HoleRegister } from "./hole-register.ts";
import { dumpTarget } from "./dump-target.ts";
import { boundOf, IndexMemory } from "./index-memory.ts";
import {
  CHILDREN_TIERS,
  MAX_TARGETS,
  NAME_HI,
  NAME_LO,
  PARENT,
  PLACE,
  ResidencyNodes,
  UNKNOWN_DEPTH,
} from "./residency-nodes.ts";
import { ResidencyTable } from "./residency-table.ts";
import { createSharedControl, type SharedControl, type SharedIndexHandle } from "./shared-index.ts";

/** Tiers of one target, best first, as bits. */
export const TIER_DEVICE: number = 1;
export const TIER_HOST: number = 2;
export const TIER_DISK: number = 4;

/** Default bound of an index: 256 MiB, about 3.3 million blocks held twice on up to 32 targets. */
export const DEFAULT_INDEX_BYTES: number = 256 * 1024 * 1024;

export interface PrefixIndexOptions {
  /** Hard bound of all tables together, in bytes. Default 256 MiB; at least 1 MiB. */
  readonly maxBytes?: number;
  /** Lets other threads read it, through `PrefixIndex.shared` and `openSharedIndex`. Default false. */
  readonly isShared?: boolean;
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

/** Words of names that are warmed at a time: 64 blocks. */
const WARM_WORDS = 128;
/** What growing the node store takes. */
const NODE_RESERVE_WORDS = 8192;

/** Targets that there is room for at first; doubled as they come. */
const FIRST_TARGETS = 64;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The least `maxBytes`. */
export const LEAST_INDEX_BYTES: number = 1024 * 1024;

/** What an index keeps its blocks in. */
interface IndexParts {
  readonly memory: IndexMemory;
  readonly control: SharedControl | undefined;
  readonly nodes: ResidencyNodes;
  readonly table: ResidencyTable;
  readonly hostTable: ResidencyTable;
  readonly diskTable: ResidencyTable;
  readonly holes: HoleRegister;
}

/** What all indexes that never stored anything look into; never written. */
let emptyParts: IndexParts | undefined;

function openParts(maxBytes: number, isShared: boolean): IndexParts {
  const memory = new IndexMemory(maxBytes, isShared);
  const control = isShared ? createSharedControl(memory.blocks) : undefined;
  const nodes = new ResidencyNodes(memory);
  return {
    memory,
    control,
    nodes,
    table: new ResidencyTable(memory, control),
    hostTable: new ResidencyTable(memory),
    diskTable: new ResidencyTable(memory),
    holes: createHoleRegister(nodes),
  };
}

function grown<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/**
 * Which target holds which prefix. Its memory is reserved with the first block. Exact: a depth is never longer than what the target holds without a hole, whatever
 * the order of its evictions. Synchronous and single-threaded; all bulk data lies off the JavaScript heap.
 */
export class PrefixIndex {
  readonly match: Writable<PrefixMatch>;
  private table: ResidencyTable;
  private nodes: ResidencyNodes;
  private hostTable: ResidencyTable;
  private diskTable: ResidencyTable;
  private holes: HoleRegister;
  private readonly control: SharedControl | undefined;
  private memory: IndexMemory;
  private words: Int32Array;
  private readonly maxBytes: number;
  /** Nothing was stored yet: all indexes in this state share one memory that stays empty. */
  private isUnopened: boolean;
  /** By public target number: the number its bits have now; changes when it is cleared. */
  private readonly bitOf: number[] = [];
  private isBitTaken = new Uint8Array(FIRST_TARGETS);
  private isBitRetired = new Uint8Array(FIRST_TARGETS);
  private blocksOfBit = new Int32Array(FIRST_TARGETS);
  private digestLo = new Int32Array(FIRST_TARGETS);
  private digestHi = new Int32Array(FIRST_TARGETS);
  private bitDepths = new Int32Array(FIRST_TARGETS);
  private bitHost = new Int32Array(FIRST_TARGETS);
  private bitDisk = new Int32Array(FIRST_TARGETS);
  /** Words of bitset that targets take. */
  private width = 1;
  private live = new Int32Array(FIRST_TARGETS / 32);
  private active = new Int32Array(FIRST_TARGETS / 32);
  private retired: number[] = [];
  private sweeping: number[] = [];
  private sweepAt = 0;
  private hand = 0;
  private evicted = 0;
  private refused = 0;
  private sharedTarget = -1;
  private readonly freeTargets: number[] = [];
  private readonly found = new Int32Array(WARM_WORDS / 2);
  private readonly foundNames = new Int32Array(WARM_WORDS);
  private noise = 0;

  constructor(options: PrefixIndexOptions = {}) {
    const maxBytes = options.maxBytes ?? DEFAULT_INDEX_BYTES;
    if (!(maxBytes >= LEAST_INDEX_BYTES))
      throw new RangeError(`maxBytes is ${maxBytes}; it must be at least ${LEAST_INDEX_BYTES}.`);
    const isShared = options.isShared === true;
    // A shared index is opened by others before anything is stored, so its memory is there from the start.
    const parts = isShared ? openParts(maxBytes, true) : (emptyParts ??= openParts(LEAST_INDEX_BYTES, false));
    this.maxBytes = maxBytes;
    this.isUnopened = !isShared;
    this.control = parts.control;
    this.memory = parts.memory;
    this.words = parts.memory.words;
    this.nodes = parts.nodes;
    this.table = parts.table;
    this.hostTable = parts.hostTable;
    this.diskTable = parts.diskTable;
    this.holes = parts.holes;
    this.match = {
      depths: new Int32Array(FIRST_TARGETS),
      hostBlocks: new Int32Array(FIRST_TARGETS),
      diskBlocks: new Int32Array(FIRST_TARGETS),
      sharedDepth: 0,
      probes: 0,
    };
  }

  /** What another thread opens with `openSharedIndex`; undefined unless `isShared`. */
  get shared(): SharedIndexHandle | undefined {
    if (this.control === undefined) return undefined;
    return { words: this.words.buffer as unknown as SharedArrayBuffer, control: this.control.buffer };
  }

  get bytes(): number {
    return this.isUnopened ? 0 : this.memory.bytes;
  }

  /** How many target numbers were given out so far. */
  get targets(): number {
    return this.bitOf.length;
  }

  stats(): PrefixIndexStats {
    return {
      blocks: this.table.entries,
      residencies: this.nodes.count - this.holes.count(),
      bytes: this.bytes,
      maxBytes: boundOf(this.maxBytes),
      evicted: this.evicted,
      refused: this.refused,
      holes: this.holes.count(),
    };
  }

  /** A new target number; small numbers are reused. @throws RangeError beyond 4,096 targets. */
  addTarget(): number {
    const target = this.freeTargets.pop() ?? this.bitOf.length;
    this.bitOf[target] = this.takeBit();
    this.publish();
    return target;
  }

  /** Forgets a target and frees its number. Its memory is swept along with later events. */
  removeTarget(target: number): void {
    this.retireBit(this.bitOf[target]!);
    this.bitOf[target] = -1;
    this.freeTargets.push(target);
    this.publish();
  }

  /** Forgets all blocks of a target, at once for lookups; its memory is swept along with later events. */
  clear(target: number): void {
    this.retireBit(this.bitOf[target]!);
    this.bitOf[target] = this.takeBit();
    this.publish();
  }

  /** Forgets all blocks of all targets at once and keeps the targets. Takes time by what was held; not for shared indexes. */
  reset(): void {
    if (!this.isUnopened) {
      this.memory.reset();
      this.nodes.reset();
      this.table.reset();
      this.hostTable.reset();
      this.diskTable.reset();
    }
    for (let bit = 0; bit < this.isBitTaken.length; bit++) this.holes.forget(bit);
    for (const bit of [...this.retired, ...this.sweeping]) {
      this.isBitRetired[bit] = 0;
      this.isBitTaken[bit] = 0;
    }
    this.retired = [];
    this.sweeping = [];
    this.hand = 0;
    this.blocksOfBit.fill(0);
    this.digestLo.fill(0);
    this.digestHi.fill(0);
  }

  /** Residencies of a target, and the XOR of their names: equal on two indexes that saw the same events. */
  digest(target: number): { readonly blocks: number; readonly xor: bigint } {
    const bit = this.bitOf[target]!;
    const xor = (BigInt(this.digestHi[bit]! >>> 0) << 32n) | BigInt(this.digestLo[bit]! >>> 0);
    return { blocks: this.blocksOfBit[bit]!, xor };
  }

  /** Our name of the block that a target's engine calls `key`. */
  nameOf(target: number, key: bigint): bigint | undefined {
    const node = this.findNode(this.bitOf[target]!, key);
    if (node < 0) return undefined;
    return (BigInt(this.words[node + NAME_HI]! >>> 0) << 32n) | BigInt(this.words[node + NAME_LO]! >>> 0);
  }

  /** A chain of blocks is now on a target, in a tier. Returns how many were taken in. */
  store(target: number, blocks: StoredBlocks, tier: number = TIER_DEVICE): number {
    if (this.isUnopened) this.open();
    this.sweep(blocks.names.length);
    const holes = this.holes.version();
    const stored = this.storeBit(this.bitOf[target]!, blocks, tier);
    if (this.control !== undefined && this.holes.version() !== holes) this.publish();
    return stored;
  }

  /** Blocks left a tier of a target. By `keys` if given, else by name; unknown ones are ignored. */
  remove(
    target: number,
    names: BigUint64Array,
    keys: BigUint64Array | undefined,
    tier: number = TIER_DEVICE,
  ): void {
    const words = wordsOf(keys ?? names);
    this.sweep(words.length >>> 1);
    const holes = this.holes.version();
    this.removeWords(this.bitOf[target]!, words, tier);
    if (this.control !== undefined && this.holes.version() !== holes) this.publish();
  }

  /** Like `store` and `remove`, for the storage that all targets read; always by name. */
  storeShared(blocks: StoredBlocks): number {
    if (this.sharedTarget < 0) this.sharedTarget = this.addTarget();
    return this.store(this.sharedTarget, { names: blocks.names, parentName: blocks.parentName });
  }

  removeShared(names: BigUint64Array): void {
    if (this.sharedTarget >= 0) this.remove(this.sharedTarget, names, undefined);
  }

  /**
   * Everything a target holds, as chains to store again, and its tier each: parents come before children. Walks all
   * nodes; for snapshots, not for requests.
   */
  dump(target: number): (StoredBlocks & { readonly tiers: number })[] {
    return dumpTarget(this.nodes, this.bitOf[target]!);
  }

  /** How deep each target holds the chain `names`. O(distinct depths * log(blocks)) probes while targets have no hole on it. */
  lookup(names: BigUint64Array): PrefixMatch {
    const { match, bitOf, bitDepths } = this;
    const path = wordsOf(names);
    match.probes = 0;
    bitDepths.fill(0, 0, this.width << 5);
    const deepest = this.gallop(path, names.length);
    if (this.holes.count() > 0 && deepest > 0) this.cutAtHoles(path);
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
      this.sweepAt = this.words.length;
    }
    const { words } = this;
    const end = Math.max(this.nodes.start, this.sweepAt - 8 * (4 * nodes + 64));
    while (this.sweepAt > end) {
      this.sweepAt -= 8;
      const node = this.sweepAt;
      if (!this.nodes.isLive(node) || this.isBitRetired[words[node + PLACE]! & 0xfff] === 0) continue;
      // A bit retired during this round loses its nodes early; its own round then finds fewer.
      this.setTiers(node, 0);
      this.nodes.free(node);
    }
    if (this.sweepAt > this.nodes.start) return;
    for (const bit of this.sweeping) {
      this.isBitRetired[bit] = 0;
      this.isBitTaken[bit] = 0;
    }
    this.sweeping = [];
  }

  private open(): void {
    const { memory, nodes, table, hostTable, diskTable, holes } = openParts(this.maxBytes, false);
    this.memory = memory;
    this.words = memory.words;
    this.nodes = nodes;
    this.table = table;
    this.hostTable = hostTable;
    this.diskTable = diskTable;
    this.holes = holes;
    this.isUnopened = false;
  }

  /** Targets, not bits, index the arrays of `match`; there are never more of them than bits. */
  private growTargets(targets: number): void {
    this.isBitTaken = grown(this.isBitTaken, new Uint8Array(targets));
    this.isBitRetired = grown(this.isBitRetired, new Uint8Array(targets));
    this.blocksOfBit = grown(this.blocksOfBit, new Int32Array(targets));
    this.digestLo = grown(this.digestLo, new Int32Array(targets));
    this.digestHi = grown(this.digestHi, new Int32Array(targets));
    this.bitDepths = new Int32Array(targets);
    this.bitHost = new Int32Array(targets);
    this.bitDisk = new Int32Array(targets);
    this.live = grown(this.live, new Int32Array(targets / 32));
    this.active = new Int32Array(targets / 32);
    this.match.depths = new Int32Array(targets);
    this.match.hostBlocks = new Int32Array(targets);
    this.match.diskBlocks = new Int32Array(targets);
  }

  private publish(): void {
    this.control?.publish(
      this.width,
      this.bitOf,
      this.live,
      (bit) => this.holes.byBit[bit] !== undefined && this.holes.byBit[bit].nodes.length > 0,
    );
  }

  private takeBit(): number {
    const free = this.isBitTaken.indexOf(0);
    const bit = free < 0 ? this.isBitTaken.length : free;
    if (bit >= MAX_TARGETS) throw new RangeError(`An index holds at most ${MAX_TARGETS} targets.`);
    if (free < 0) this.growTargets(2 * bit);
    this.isBitTaken[bit] = 1;
    this.live[bit >>> 5]! |= 1 << (bit & 31);
    this.width = Math.max(this.width, (bit >>> 5) + 1);
    this.blocksOfBit[bit] = 0;
    this.digestLo[bit] = 0;
    this.digestHi[bit] = 0;
    return bit;
  }

  private retireBit(bit: number): void {
    this.live[bit >>> 5]! &= ~(1 << (bit & 31));
    // Without blocks and holes it has no nodes: nothing to sweep, which events may never come to do.
    if (this.blocksOfBit[bit] === 0 && (this.holes.byBit[bit]?.nodes.length ?? 0) === 0) {
      this.isBitTaken[bit] = 0;
      return;
    }
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
    const { words, nodes } = this;
    const names = wordsOf(blocks.names);
    const keys = blocks.keys === undefined ? names : wordsOf(blocks.keys);
    const count = blocks.names.length;
    let parent = this.parentNode(bit, blocks);
    if (parent === -2) {
      this.refused += count;
      return 0;
    }
    let depth = parent < 0 ? 0 : nextDepth(words[parent + PLACE]! >>> 12);
    for (let i = 0; i < 2 * count; i += 2) {
      if ((i & (WARM_WORDS - 1)) === 0 && count > 8) this.warmStore(bit, keys, names, i);
      const lo = names[i]!;
      const hi = names[i + 1]!;
      let node = nodes.find(bit, keys[i]!, keys[i + 1]!);
      if (node >= 0 && (words[node + NAME_LO] !== lo || words[node + NAME_HI] !== hi)) node = -1;
      if (node < 0) {
        if (!nodes.hasFree && !this.memory.hasRoom(NODE_RESERVE_WORDS + (words.length >>> 5)))
          this.evict(parent);
        node = nodes.add(bit, keys[i]!, keys[i + 1]!, lo, hi, depth);
      }
      const before = node < 0 ? 0 : words[node + CHILDREN_TIERS]! & 15;
      if (node >= 0 && before === 0) {
        if (this.table.add(lo || 1, hi, bit)) this.arrive(bit, node, parent, depth);
        else {
          if (words[node + CHILDREN_TIERS] === 0) nodes.free(node);
          node = -1;
        }
      }
      if (node < 0) {
        this.refused += count - (i >>> 1);
        this.dropIfEmpty(bit, parent);
        return i >>> 1;
      }
      if ((before & tier) === 0) this.setTiers(node, before | tier);
      parent = node;
      depth = nextDepth(words[node + PLACE]! >>> 12);
    }
    return count;
  }

  /** A block is resident again or for the first time. */
  private arrive(bit: number, node: number, parent: number, depth: number): void {
    const { words } = this;
    if (words[node + CHILDREN_TIERS]! >>> 4 !== 0) this.holes.remove(bit, node);
    words[node + PARENT] = parent;
    words[node + PLACE] = (depth << 12) | bit;
    if (parent >= 0) words[parent + CHILDREN_TIERS]! += 16;
    this.blocksOfBit[bit]!++;
    this.digestLo[bit]! ^= words[node + NAME_LO]!;
    this.digestHi[bit]! ^= words[node + NAME_HI]!;
  }

  private warmStore(bit: number, keys: Int32Array, names: Int32Array, from: number): void {
    const to = Math.min(from + WARM_WORDS, keys.length);
    this.noise ^= this.nodes.warm(bit, keys, from, to, this.found) ^ this.table.warm(names, from, to);
  }

  private warmRemove(bit: number, keys: Int32Array, from: number): void {
    const { words, found, foundNames } = this;
    const to = Math.min(from + WARM_WORDS, keys.length);
    this.noise ^= this.nodes.warm(bit, keys, from, to, found);
    const count = (to - from) >>> 1;
    for (let k = 0; k < count; k++) {
      const node = Math.max(0, found[k]!);
      foundNames[2 * k] = words[node + NAME_LO]!;
      foundNames[2 * k + 1] = words[node + NAME_HI]!;
    }
    this.noise ^= this.table.warm(foundNames, 0, 2 * count);
  }

  private removeWords(bit: number, keys: Int32Array, tier: number): void {
    const { words, nodes } = this;
    for (let i = 0; i < keys.length; i += 2) {
      if ((i & (WARM_WORDS - 1)) === 0 && keys.length > 16) this.warmRemove(bit, keys, i);
      const node = nodes.find(bit, keys[i]!, keys[i + 1]!);
      if (node < 0) continue;
      const before = words[node + CHILDREN_TIERS]! & 15;
      if ((before & tier) === 0) continue;
      this.setTiers(node, before & ~tier);
      if (before === tier) this.depart(bit, node);
    }
  }

  /** The last tier lost a block: unlink it, or keep it as a hole while it has resident children. */
  private depart(bit: number, node: number): void {
    const { words } = this;
    const parent = words[node + PARENT]!;
    this.blocksOfBit[bit]!--;
    this.digestLo[bit]! ^= words[node + NAME_LO]!;
    this.digestHi[bit]! ^= words[node + NAME_HI]!;
    if (words[node + CHILDREN_TIERS]! >>> 4 === 0) this.nodes.free(node);
    else this.holes.add(bit, node);
    if (parent < 0) return;
    words[parent + CHILDREN_TIERS]! -= 16;
    this.dropIfEmpty(bit, parent);
  }

  private dropIfEmpty(bit: number, node: number): void {
    if (node < 0 || this.words[node + CHILDREN_TIERS] !== 0) return;
    this.holes.remove(bit, node);
    this.nodes.free(node);
  }

  /** Writes a node's tier mask and keeps the three tables in step with it. The caller keeps the links. */
  private setTiers(node: number, tiers: number): void {
    const { words } = this;
    const before = words[node + CHILDREN_TIERS]! & 15;
    words[node + CHILDREN_TIERS] = (words[node + CHILDREN_TIERS]! & ~15) | tiers;
    const lo = words[node + NAME_LO]! || 1;
    const hi = words[node + NAME_HI]!;
    const bit = words[node + PLACE]! & 0xfff;
    if (tiers === 0) this.table.remove(lo, hi, bit);
    const was = before & -before;
    const is = tiers & -tiers;
    if (was === is) return;
    if (was === TIER_HOST) this.hostTable.remove(lo, hi, bit);
    else if (was === TIER_DISK) this.diskTable.remove(lo, hi, bit);
    if (is === TIER_HOST) this.hostTable.add(lo, hi, bit);
    else if (is === TIER_DISK) this.diskTable.add(lo, hi, bit);
  }

  /** Gives up one leaf, round the clock, of a target that holds at least half the mean. */
  private evict(keep: number): void {
    const { words } = this;
    let targets = 0;
    for (const bit of this.bitOf) if (bit >= 0) targets++;
    const fair = this.nodes.count / Math.max(1, targets) / 2;
    for (let steps = 0; steps < 4096; steps++) {
      this.hand -= 8;
      if (this.hand < this.nodes.start) this.hand = words.length - 8;
      const node = this.hand;
      if (node === keep || !this.nodes.isLive(node)) continue;
      const state = words[node + CHILDREN_TIERS]!;
      const bit = words[node + PLACE]! & 0xfff;
      if (
        state >>> 4 !== 0 ||
        (state & 15) === 0 ||
        this.isBitRetired[bit] === 1 ||
        this.blocksOfBit[bit]! < fair
      )
        continue;
      // A hole that only this leaf keeps alive would go with it: not the one about to get a child.
      const isLastOfKeep = keep >= 0 && words[node + PARENT] === keep && words[keep + CHILDREN_TIERS] === 16;
      if (isLastOfKeep) continue;
      this.setTiers(node, 0);
      this.depart(bit, node);
      this.evicted++;
      return;
    }
  }

  /** Depth of every target by galloping and bisecting over the common set; exact but for holes. Returns the deepest. */
  private gallop(path: Int32Array, blocks: number): number {
    const { table, active, live, width } = this;
    if (blocks === 0) return 0;
    this.match.probes++;
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
      this.match.probes++;
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
      this.bitDepths[(word << 5) + bit] = depth;
      rest &= ~(1 << bit);
    }
  }

  private wordAt(slot: number, word: number): number {
    return word + 2 < this.table.stride ? this.words[slot + 2 + word]! : 0;
  }

  private holdsAll(path: Int32Array, block: number): boolean {
    this.match.probes++;
    const { table, active, words, width } = this;
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
      const claimed = this.bitDepths[bit]!;
      if (holes === undefined || claimed === 0) continue;
      const { nodes } = holes;
      if (holes.unplaced > 0 || nodes.length > 64) {
        this.bitDepths[bit] = this.walk(path, bit, claimed);
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
      if (first < claimed) this.bitDepths[bit] = this.bisect(path, bit, first);
    }
  }

  private walk(path: Int32Array, bit: number, limit: number): number {
    for (let i = 0; i < limit; i++) {
      this.match.probes++;
      if (!this.table.has(path[2 * i]! || 1, path[2 * i + 1]!, bit)) return i;
    }
    return limit;
  }

  private bisect(path: Int32Array, bit: number, limit: number): number {
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

  private countTiers(path: Int32Array, deepest: number): void {
    this.bitHost.fill(0, 0, this.width << 5);
    this.bitDisk.fill(0, 0, this.width << 5);
    for (const [table, counts] of [
      [this.hostTable, this.bitHost],
      [this.diskTable, this.bitDisk],
    ] as const) {
      if (table.entries === 0) continue;
      for (let i = 0; i < deepest; i++) {
        const slot = table.find(path[2 * i]! || 1, path[2 * i + 1]!);
        if (slot < 0) continue;
        const held = Math.min(table.stride - 2, this.width);
        for (let k = 0; k < held; k++) {
          for (let rest = this.words[slot + 2 + k]! & this.live[k]!; rest !== 0;) {
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
export function wordsOf(names: BigUint64Array): Int32Array {
  return new Int32Array(names.buffer, names.byteOffset, names.length * 2);
}

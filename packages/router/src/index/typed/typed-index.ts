// Longer than other files: storing, removing and evicting change the same links, and splitting them costs calls on the hot path.
import { atOnce, dumpSteps } from "../dump-target.ts";
import {
  DEFAULT_INDEX_BYTES,
  LEAST_INDEX_BYTES,
  TIER_DEVICE,
  TIER_DISK,
  TIER_HOST,
  type DumpedBlocks,
  type PrefixIndex,
  type PrefixIndexOptions,
  type PrefixIndexStats,
  type PrefixMatch,
  type StoredBlocks,
} from "../prefix-index.ts";
import type { SharedControl, SharedIndexHandle } from "../shared-index.ts";
import { DepthSearch } from "./depth-search.ts";
import type { HoleRegister } from "./hole-register.ts";
import { boundOf, type IndexMemory } from "./index-memory.ts";
import { openParts, type IndexParts } from "./index-parts.ts";
import {
  CHILDREN_TIERS,
  NAME_HI,
  NAME_LO,
  PARENT,
  PLACE,
  UNKNOWN_DEPTH,
  type ResidencyNodes,
} from "./residency-nodes.ts";
import type { ResidencyTable } from "./residency-table.ts";
import { TargetBits } from "./target-bits.ts";
import { wordsOf } from "./words-of-names.ts";

/** Words of names that are warmed at a time: 64 blocks. */
const WARM_WORDS = 128;
/** What growing the node store takes. */
const NODE_RESERVE_WORDS = 8192;

/** What all indexes that never stored anything look into; never written. */
let emptyParts: IndexParts | undefined;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The index in JavaScript on typed arrays. Unlike the one in WebAssembly it can be shared with other threads, and reset. */
export class TypedIndex implements PrefixIndex {
  readonly core = "typed";
  readonly match: Writable<PrefixMatch>;
  private table: ResidencyTable;
  private nodes: ResidencyNodes;
  private hostTable: ResidencyTable;
  private diskTable: ResidencyTable;
  private holes: HoleRegister;
  private found: DepthSearch;
  private readonly bits = new TargetBits();
  private readonly control: SharedControl | undefined;
  private memory: IndexMemory;
  private words: Int32Array;
  private readonly maxBytes: number;
  /** Nothing was stored yet: all indexes in this state share one memory that stays empty. */
  private isUnopened: boolean;
  /** By public target number: the number its bits have now; changes when it is cleared. */
  private readonly bitOf: number[] = [];
  private sweeping: number[] = [];
  private sweepAt = 0;
  private hand = 0;
  private evicted = 0;
  private refused = 0;
  private sharedTarget = -1;
  private readonly freeTargets: number[] = [];
  private readonly warmed = new Int32Array(WARM_WORDS / 2);
  private readonly foundNames = new Int32Array(WARM_WORDS);
  private noise = 0;

  constructor(options: PrefixIndexOptions = {}) {
    const maxBytes = options.maxBytes ?? DEFAULT_INDEX_BYTES;
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
    this.found = new DepthSearch(parts, this.bits);
    const { room } = this.bits;
    this.match = {
      depths: new Int32Array(room),
      hostBlocks: new Int32Array(room),
      diskBlocks: new Int32Array(room),
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
    this.bitOf[target] = this.bits.take();
    this.publish();
    return target;
  }

  /** Forgets a target and frees its number. Its memory is swept along with later events. */
  removeTarget(target: number): void {
    this.bits.retire(this.bitOf[target]!, this.holes);
    this.bitOf[target] = -1;
    this.freeTargets.push(target);
    this.publish();
  }

  /** Forgets all blocks of a target, at once for lookups; its memory is swept along with later events. */
  clear(target: number): void {
    this.bits.retire(this.bitOf[target]!, this.holes);
    this.bitOf[target] = this.bits.take();
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
    for (let bit = 0; bit < this.bits.isTaken.length; bit++) this.holes.forget(bit);
    for (const bit of this.sweeping) this.bits.free(bit);
    this.sweeping = [];
    this.bits.reset();
    this.hand = 0;
  }

  /** Residencies of a target, and the XOR of their names: equal on two indexes that saw the same events. */
  digest(target: number): { readonly blocks: number; readonly xor: bigint } {
    const bit = this.bitOf[target]!;
    const xor = (BigInt(this.bits.digestHi[bit]! >>> 0) << 32n) | BigInt(this.bits.digestLo[bit]! >>> 0);
    return { blocks: this.bits.blocks[bit]!, xor };
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
  dump(target: number): DumpedBlocks[] {
    return atOnce(this.dumpSteps(target));
  }

  /** The same in steps, between which events may be applied. */
  dumpSteps(target: number): Generator<void, DumpedBlocks[], void> {
    return dumpSteps(() => ({
      words: this.words,
      start: this.nodes.start,
      end: this.words.length,
      bit: this.bitOf[target]!,
    }));
  }

  lookup(names: BigUint64Array): PrefixMatch {
    const { match, bitOf, found } = this;
    const hasTiers = found.search(wordsOf(names), names.length);
    if (match.depths.length < this.bits.room) this.growMatch(this.bits.room);
    for (let target = 0; target < bitOf.length; target++) {
      const bit = bitOf[target]!;
      match.depths[target] = bit < 0 ? 0 : found.depths[bit]!;
      match.hostBlocks[target] = hasTiers && bit >= 0 ? found.host[bit]! : 0;
      match.diskBlocks[target] = hasTiers && bit >= 0 ? found.disk[bit]! : 0;
    }
    match.probes = found.probes;
    match.sharedDepth = this.sharedTarget < 0 ? 0 : match.depths[this.sharedTarget]!;
    return match;
  }

  /** Does up to `nodes` steps of forgetting retired targets. Called along with events; call it when idle to hurry. */
  sweep(nodes: number): void {
    if (this.sweeping.length === 0) {
      if (this.bits.retired.length === 0) return;
      this.sweeping = this.bits.retired;
      this.bits.retired = [];
      this.sweepAt = this.words.length;
    }
    const { words } = this;
    const end = Math.max(this.nodes.start, this.sweepAt - 8 * (4 * nodes + 64));
    while (this.sweepAt > end) {
      this.sweepAt -= 8;
      const node = this.sweepAt;
      if (!this.nodes.isLive(node) || this.bits.isRetired[words[node + PLACE]! & 0xfff] === 0) continue;
      // A bit retired during this round loses its nodes early; its own round then finds fewer.
      this.setTiers(node, 0);
      this.nodes.free(node);
    }
    if (this.sweepAt > this.nodes.start) return;
    for (const bit of this.sweeping) this.bits.free(bit);
    this.sweeping = [];
  }

  private open(): void {
    const parts = openParts(this.maxBytes, false);
    this.memory = parts.memory;
    this.words = parts.memory.words;
    this.nodes = parts.nodes;
    this.table = parts.table;
    this.hostTable = parts.hostTable;
    this.diskTable = parts.diskTable;
    this.holes = parts.holes;
    this.found = new DepthSearch(parts, this.bits);
    this.isUnopened = false;
  }

  private growMatch(targets: number): void {
    this.match.depths = new Int32Array(targets);
    this.match.hostBlocks = new Int32Array(targets);
    this.match.diskBlocks = new Int32Array(targets);
  }

  private publish(): void {
    this.control?.publish(
      this.bits.width,
      this.bitOf,
      this.bits.live,
      (bit) => this.holes.byBit[bit] !== undefined && this.holes.byBit[bit].nodes.length > 0,
    );
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
    this.bits.blocks[bit]!++;
    this.bits.digestLo[bit]! ^= words[node + NAME_LO]!;
    this.bits.digestHi[bit]! ^= words[node + NAME_HI]!;
  }

  private warmStore(bit: number, keys: Int32Array, names: Int32Array, from: number): void {
    const to = Math.min(from + WARM_WORDS, keys.length);
    this.noise ^= this.nodes.warm(bit, keys, from, to, this.warmed) ^ this.table.warm(names, from, to);
  }

  private warmRemove(bit: number, keys: Int32Array, from: number): void {
    const { words, warmed, foundNames } = this;
    const to = Math.min(from + WARM_WORDS, keys.length);
    this.noise ^= this.nodes.warm(bit, keys, from, to, warmed);
    const count = (to - from) >>> 1;
    for (let k = 0; k < count; k++) {
      const node = Math.max(0, warmed[k]!);
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
    this.bits.blocks[bit]!--;
    this.bits.digestLo[bit]! ^= words[node + NAME_LO]!;
    this.bits.digestHi[bit]! ^= words[node + NAME_HI]!;
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
        this.bits.isRetired[bit] === 1 ||
        this.bits.blocks[bit]! < fair
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
}

function nextDepth(depth: number): number {
  return depth >= UNKNOWN_DEPTH - 1 ? UNKNOWN_DEPTH : depth + 1;
}

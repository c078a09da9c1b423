// Which targets hold which block: open addressing on the sequence hash with the holder bitset inline, so that one probe
// is one cache line. Cut into small segments under a directory (extendible hashing): growth splits one segment at a
// time, no rehash ever touches more than BLOCK_WORDS slots. Holders beyond a segment's width widen that segment only.
// All words are signed: unsigned ones above 2^31 would be heap numbers wherever a call is not inlined.
import { BLOCK_WORDS, type IndexMemory } from "./index-memory.ts";

/** Slots of one segment. */
const SLOTS = BLOCK_WORDS;
const MASK = SLOTS - 1;
/** Entries at which a segment splits: 75 % load. */
const SPLIT_AT = (SLOTS * 3) / 4;
/** Entries at which a segment that may not split takes no more. */
const FULL_AT = SLOTS - 64;
const MAX_DEPTH = 20;
const BLOCK_BITS = 11;

/** Told around changes, so that readers on other threads can detect them. */
export interface TableWatcher {
  changing(block: number): void;
  changed(block: number): void;
  restructured(directory: Int32Array, shift: number): void;
}

export class ResidencyTable {
  readonly words: Int32Array;
  /** `1 << depth` entries by the upper bits of the hash's high word: first block of the segment << 8 | words per slot. */
  directory: Int32Array = new Int32Array(2);
  shift = 31;
  entries = 0;
  /** Words per slot at the last `find`: 2 of key, the rest bitset. */
  stride = 3;
  private readonly memory: IndexMemory;
  private readonly localDepths: Uint8Array;
  private readonly used: Uint16Array;
  private readonly watcher: TableWatcher | undefined;
  private scratch: Int32Array = new Int32Array(0);

  constructor(memory: IndexMemory, watcher?: TableWatcher) {
    this.memory = memory;
    this.words = memory.words;
    this.watcher = watcher;
    this.localDepths = new Uint8Array(memory.blocks);
    this.used = new Uint16Array(memory.blocks);
    this.reset();
  }

  /** Forgets everything; the memory must be new or reset. */
  reset(): void {
    this.used.fill(0);
    this.directory = new Int32Array(2);
    this.shift = 31;
    this.entries = 0;
    for (let i = 0; i < 2; i++) {
      const block = this.memory.takeSegment(3);
      if (block < 0) throw new RangeError("The byte bound is too small for an empty index.");
      this.localDepths[block] = 1;
      this.directory[i] = (block << 8) | 3;
    }
    this.watcher?.restructured(this.directory, this.shift);
  }

  /** Word offset of the slot with this key, or -1; `stride` is its width. `lo` must not be 0. */
  find(lo: number, hi: number): number {
    const words = this.words;
    const entry = this.directory[hi >>> this.shift]!;
    const stride = entry & 0xff;
    const base = (entry >>> 8) << BLOCK_BITS;
    this.stride = stride;
    for (let i = lo & MASK; ; i = (i + 1) & MASK) {
      const slot = base + i * stride;
      const key = words[slot]!;
      if (key === lo && words[slot + 1] === hi) return slot;
      if (key === 0) return -1;
    }
  }

  /** Touches what `find` will read for the names [from, to) of `names`, so that the misses overlap. Returns noise. */
  warm(names: Int32Array, from: number, to: number): number {
    const { words, directory, shift } = this;
    let noise = 0;
    for (let i = from; i < to; i += 2) {
      const entry = directory[names[i + 1]! >>> shift]!;
      noise ^= words[((entry >>> 8) << BLOCK_BITS) + (names[i]! & MASK) * (entry & 0xff)]!;
    }
    return noise;
  }

  has(lo: number, hi: number, target: number): boolean {
    const slot = this.find(lo, hi);
    const word = (target >>> 5) + 2;
    return slot >= 0 && word < this.stride && (this.words[slot + word]! & (1 << (target & 31))) !== 0;
  }

  /** Sets a holder. False if there is no room: the block stays unknown. */
  add(lo: number, hi: number, target: number): boolean {
    const words = this.words;
    const word = (target >>> 5) + 2;
    for (;;) {
      const entry = this.directory[hi >>> this.shift]!;
      const stride = entry & 0xff;
      const block = entry >>> 8;
      if (word >= stride) {
        if (!this.widen(block, stride, word + 1)) return false;
        continue;
      }
      const base = block << BLOCK_BITS;
      let i = lo & MASK;
      let slot = base + i * stride;
      let key = words[slot]!;
      while (key !== 0 && (key !== lo || words[slot + 1] !== hi)) {
        i = (i + 1) & MASK;
        slot = base + i * stride;
        key = words[slot]!;
      }
      if (key === 0) {
        const used = this.used[block]!;
        if (used >= SPLIT_AT) {
          if (this.split(block, stride)) continue;
          if (used >= FULL_AT) return false;
        }
        if (this.watcher !== undefined) this.watcher.changing(block);
        words[slot] = lo;
        words[slot + 1] = hi;
        this.used[block] = used + 1;
        this.entries++;
      } else if (this.watcher !== undefined) this.watcher.changing(block);
      words[slot + word]! |= 1 << (target & 31);
      if (this.watcher !== undefined) this.watcher.changed(block);
      return true;
    }
  }

  /** Clears a holder; the entry goes with its last one. */
  remove(lo: number, hi: number, target: number): void {
    const slot = this.find(lo, hi);
    if (slot < 0) return;
    const words = this.words;
    const stride = this.stride;
    const word = (target >>> 5) + 2;
    if (word >= stride) return;
    const block = this.directory[hi >>> this.shift]! >>> 8;
    if (this.watcher !== undefined) this.watcher.changing(block);
    let held = words[slot + word]! & ~(1 << (target & 31));
    words[slot + word] = held;
    for (let k = 2; k < stride; k++) held |= words[slot + k]!;
    if (held === 0) this.erase(block, stride, slot);
    if (this.watcher !== undefined) this.watcher.changed(block);
  }

  private erase(block: number, stride: number, slot: number): void {
    const words = this.words;
    const base = block << BLOCK_BITS;
    let hole = (slot - base) / stride;
    for (let i = (hole + 1) & MASK; ; i = (i + 1) & MASK) {
      const from = base + i * stride;
      const key = words[from]!;
      if (key === 0) break;
      if (((i - (key & MASK)) & MASK) < ((i - hole) & MASK)) continue;
      const to = base + hole * stride;
      for (let k = 0; k < stride; k++) words[to + k] = words[from + k]!;
      hole = i;
    }
    const end = base + hole * stride;
    for (let k = 0; k < stride; k++) words[end + k] = 0;
    this.used[block]!--;
    this.entries--;
  }

  private split(block: number, stride: number): boolean {
    const depth = this.localDepths[block]!;
    if (depth >= MAX_DEPTH) return false;
    const sibling = this.memory.takeSegment(stride);
    if (sibling < 0) return false;
    if (this.watcher !== undefined) this.watcher.changing(block);
    if (this.shift === 32 - depth) this.doubleDirectory();
    const words = this.words;
    const length = SLOTS * stride;
    const base = block << BLOCK_BITS;
    if (this.scratch.length < length) this.scratch = new Int32Array(length);
    const old = this.scratch;
    old.set(words.subarray(base, base + length));
    words.fill(0, base, base + length);
    let moved = 0;
    for (let from = 0; from < length; from += stride) {
      if (old[from] === 0) continue;
      const goesOver = (old[from + 1]! >>> (31 - depth)) & 1;
      moved += goesOver;
      const to = goesOver === 1 ? sibling << BLOCK_BITS : base;
      let i = old[from]! & MASK;
      while (words[to + i * stride] !== 0) i = (i + 1) & MASK;
      for (let k = 0; k < stride; k++) words[to + i * stride + k] = old[from + k]!;
    }
    this.localDepths[block] = depth + 1;
    this.localDepths[sibling] = depth + 1;
    this.used[sibling] = moved;
    this.used[block]! -= moved;
    const bits = 32 - this.shift;
    for (let i = 0; i < this.directory.length; i++) {
      if (this.directory[i]! >>> 8 !== block) continue;
      if (((i >>> (bits - 1 - depth)) & 1) === 1) this.directory[i] = (sibling << 8) | stride;
    }
    if (this.watcher !== undefined) {
      this.watcher.restructured(this.directory, this.shift);
      this.watcher.changed(block);
    }
    return true;
  }

  private doubleDirectory(): void {
    const directory = new Int32Array(2 * this.directory.length);
    for (let i = 0; i < directory.length; i++) directory[i] = this.directory[i >>> 1]!;
    this.directory = directory;
    this.shift--;
  }

  private widen(block: number, stride: number, wider: number): boolean {
    const to = this.memory.takeSegment(wider);
    if (to < 0) return false;
    if (this.watcher !== undefined) this.watcher.changing(block);
    const words = this.words;
    for (let i = 0; i < SLOTS; i++) {
      for (let k = 0; k < stride; k++)
        words[(to << BLOCK_BITS) + i * wider + k] = words[(block << BLOCK_BITS) + i * stride + k]!;
    }
    this.localDepths[to] = this.localDepths[block]!;
    this.used[to] = this.used[block]!;
    this.used[block] = 0;
    for (let i = 0; i < this.directory.length; i++) {
      if (this.directory[i]! >>> 8 === block) this.directory[i] = (to << 8) | wider;
    }
    this.memory.freeSegment(block, stride);
    if (this.watcher !== undefined) {
      this.watcher.restructured(this.directory, this.shift);
      this.watcher.changed(block);
    }
    return true;
  }
}

// Which targets hold which block: open addressing on the sequence hash with the holder bitset inline, so that one probe
// is one cache line. Cut into small segments under a directory (extendible hashing): growth splits one segment at a
// time, no rehash ever touches more than SEGMENT_SLOTS slots. Holders beyond a segment's width widen that segment only.

/** Slots of one segment; a power of two. */
export const SEGMENT_SLOTS: number = 2048;
const MASK = SEGMENT_SLOTS - 1;
/** Entries at which a segment splits: 75 % load. */
const SPLIT_AT = (SEGMENT_SLOTS * 3) / 4;
/** Entries at which a segment that may not split takes no more. */
const FULL_AT = SEGMENT_SLOTS - 64;
const MAX_DEPTH = 20;

/** Where segments live: private memory, or a shared buffer with a version word per segment. */
export interface SegmentMemory {
  /** A zeroed array of `SEGMENT_SLOTS * stride` words, or undefined if the byte bound forbids it. */
  allocate(stride: number): Uint32Array | undefined;
  free(segment: Uint32Array): void;
  /** Called around each change of a segment, so that readers on other threads can detect it. */
  readonly changing?: (segment: number) => void;
  readonly changed?: (segment: number) => void;
  /** Called when the directory, a segment's place or its stride changed. */
  readonly restructured?: (table: ResidencyTable) => void;
}

export class ResidencyTable {
  /** Directory of `1 << depth` segment numbers, by the upper bits of the hash's high word. */
  directory: Int32Array = new Int32Array(2);
  depth = 1;
  shift = 31;
  readonly segments: Uint32Array[] = [];
  /** Words per slot of each segment: 2 of key, the rest bitset. */
  strides: Uint8Array = new Uint8Array(16);
  localDepths: Uint8Array = new Uint8Array(16);
  used: Uint16Array = new Uint16Array(16);
  entries = 0;
  /** The segment of the last `find`. */
  at = 0;
  private readonly memory: SegmentMemory;
  private scratch: Uint32Array = new Uint32Array(0);

  constructor(memory: SegmentMemory, words: number = 1) {
    this.memory = memory;
    for (let segment = 0; segment < 2; segment++) {
      const slots = memory.allocate(2 + words);
      if (slots === undefined) throw new RangeError("The byte bound is too small for an empty table.");
      this.pushSegment(slots, 2 + words, 1);
      this.directory[segment] = segment;
    }
    memory.restructured?.(this);
  }

  /** Offset of the slot with this key in `segments[at]`, or -1. `lo` must not be 0. */
  find(lo: number, hi: number): number {
    const segment = this.directory[hi >>> this.shift]!;
    const slots = this.segments[segment]!;
    const stride = this.strides[segment]!;
    this.at = segment;
    for (let i = lo & MASK; ; i = (i + 1) & MASK) {
      const slot = i * stride;
      const key = slots[slot]!;
      if (key === lo && slots[slot + 1] === hi) return slot;
      if (key === 0) return -1;
    }
  }

  has(lo: number, hi: number, target: number): boolean {
    const slot = this.find(lo, hi);
    if (slot < 0) return false;
    const word = target >>> 5;
    if (word + 2 >= this.strides[this.at]!) return false;
    return (this.segments[this.at]![slot + 2 + word]! & (1 << (target & 31))) !== 0;
  }

  /** Sets a holder. False if there is no room: the block stays unknown. */
  add(lo: number, hi: number, target: number): boolean {
    const word = target >>> 5;
    for (;;) {
      const segment = this.directory[hi >>> this.shift]!;
      let stride = this.strides[segment]!;
      if (word + 2 >= stride) {
        if (!this.widen(segment, word + 1)) return false;
        stride = this.strides[segment]!;
      }
      const slots = this.segments[segment]!;
      let i = lo & MASK;
      let slot = i * stride;
      let key = slots[slot]!;
      while (key !== 0 && (key !== lo || slots[slot + 1] !== hi)) {
        i = (i + 1) & MASK;
        slot = i * stride;
        key = slots[slot]!;
      }
      if (key === 0) {
        if (this.used[segment]! >= SPLIT_AT) {
          if (this.split(segment)) continue;
          if (this.used[segment]! >= FULL_AT) return false;
        }
        this.memory.changing?.(segment);
        slots[slot] = lo;
        slots[slot + 1] = hi;
        this.used[segment]!++;
        this.entries++;
      } else this.memory.changing?.(segment);
      slots[slot + 2 + word]! |= 1 << (target & 31);
      this.memory.changed?.(segment);
      return true;
    }
  }

  /** Clears a holder; the entry goes with its last one. */
  remove(lo: number, hi: number, target: number): void {
    const slot = this.find(lo, hi);
    if (slot < 0) return;
    const segment = this.at;
    const slots = this.segments[segment]!;
    const stride = this.strides[segment]!;
    const word = target >>> 5;
    if (word + 2 >= stride) return;
    this.memory.changing?.(segment);
    slots[slot + 2 + word]! &= ~(1 << (target & 31));
    let isHeld = false;
    for (let k = 2; k < stride; k++) if (slots[slot + k] !== 0) isHeld = true;
    if (!isHeld) this.erase(segment, slots, stride, slot / stride);
    this.memory.changed?.(segment);
  }

  private erase(segment: number, slots: Uint32Array, stride: number, index: number): void {
    let hole = index;
    for (let i = (hole + 1) & MASK; ; i = (i + 1) & MASK) {
      const from = i * stride;
      const key = slots[from]!;
      if (key === 0) break;
      if (((i - (key & MASK)) & MASK) < ((i - hole) & MASK)) continue;
      const to = hole * stride;
      for (let k = 0; k < stride; k++) slots[to + k] = slots[from + k]!;
      hole = i;
    }
    const end = hole * stride;
    for (let k = 0; k < stride; k++) slots[end + k] = 0;
    this.used[segment]!--;
    this.entries--;
  }

  private pushSegment(slots: Uint32Array, stride: number, localDepth: number): number {
    const segment = this.segments.push(slots) - 1;
    if (segment >= this.strides.length) {
      this.strides = grown(this.strides);
      this.localDepths = grown(this.localDepths);
      const used = new Uint16Array(2 * this.used.length);
      used.set(this.used);
      this.used = used;
    }
    this.strides[segment] = stride;
    this.localDepths[segment] = localDepth;
    return segment;
  }

  private copyOut(segment: number): Uint32Array {
    const slots = this.segments[segment]!;
    if (this.scratch.length < slots.length) this.scratch = new Uint32Array(slots.length);
    this.scratch.set(slots);
    return this.scratch;
  }

  private split(segment: number): boolean {
    const depth = this.localDepths[segment]!;
    if (depth >= MAX_DEPTH) return false;
    const stride = this.strides[segment]!;
    const sibling = this.memory.allocate(stride);
    if (sibling === undefined) return false;
    const slots = this.segments[segment]!;
    const old = this.copyOut(segment);
    this.memory.changing?.(segment);
    if (depth === this.depth) this.doubleDirectory();
    const added = this.pushSegment(sibling, stride, depth + 1);
    this.localDepths[segment] = depth + 1;
    slots.fill(0);
    let moved = 0;
    for (let from = 0, end = SEGMENT_SLOTS * stride; from < end; from += stride) {
      if (old[from] === 0) continue;
      const goesOver = ((old[from + 1]! >>> (31 - depth)) & 1) === 1;
      if (goesOver) moved++;
      insertRaw(goesOver ? sibling : slots, old, from, stride);
    }
    this.used[added] = moved;
    this.used[segment]! -= moved;
    for (let i = 0; i < this.directory.length; i++) {
      if (this.directory[i] === segment && ((i >>> (this.depth - 1 - depth)) & 1) === 1) this.directory[i] = added;
    }
    this.memory.restructured?.(this);
    this.memory.changed?.(segment);
    return true;
  }

  private doubleDirectory(): void {
    const directory = new Int32Array(2 * this.directory.length);
    for (let i = 0; i < directory.length; i++) directory[i] = this.directory[i >>> 1]!;
    this.directory = directory;
    this.depth++;
    this.shift--;
  }

  private widen(segment: number, words: number): boolean {
    const stride = this.strides[segment]!;
    const wider = this.memory.allocate(2 + words);
    if (wider === undefined) return false;
    const old = this.segments[segment]!;
    this.memory.changing?.(segment);
    for (let i = 0; i < SEGMENT_SLOTS; i++) {
      for (let k = 0; k < stride; k++) wider[i * (2 + words) + k] = old[i * stride + k]!;
    }
    this.segments[segment] = wider;
    this.strides[segment] = 2 + words;
    this.memory.free(old);
    this.memory.restructured?.(this);
    this.memory.changed?.(segment);
    return true;
  }
}

function insertRaw(slots: Uint32Array, from: Uint32Array, offset: number, stride: number): void {
  let i = from[offset]! & MASK;
  while (slots[i * stride] !== 0) i = (i + 1) & MASK;
  for (let k = 0; k < stride; k++) slots[i * stride + k] = from[offset + k]!;
}

function grown(array: Uint8Array): Uint8Array {
  const longer = new Uint8Array(2 * array.length);
  longer.set(array);
  return longer;
}

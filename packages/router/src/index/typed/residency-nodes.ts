// One node per (target, engine key): what the events of a target name. Kept beside the table because an engine's key
// says nothing about ours, and because exactness under holes needs, per target, which blocks have resident children.
// Fixed-size nodes, chained from a linear-hashing directory: growth adds one bucket, nothing moves.
import type { IndexMemory } from "./index-memory.ts";

/** Bytes of one node with its two buckets. */
export const NODE_BYTES: number = 40;
/** Nodes by which the store grows. */
const GROW_NODES = 1024;

/** Word offsets inside a node. */
export const KEY_LO: number = 0;
export const KEY_HI: number = 1;
export const NAME_LO: number = 2;
export const NAME_HI: number = 3;
/** Node of the parent block on the same target, or -1; of a hole, its place among the target's holes. */
export const PARENT: number = 4;
/** Resident children, shifted left by 4, and the tier mask in the low 4 bits. */
export const CHILDREN_TIERS: number = 5;
/** Depth of the block, shifted left by 12, and the target. */
export const PLACE: number = 6;
const NEXT = 7;

/** Depth of a block whose ancestors were never seen. */
export const UNKNOWN_DEPTH: number = 0xfffff;

/** A node is named by the word offset of its fields in `words`; -1 is none. */
export class ResidencyNodes {
  readonly words: Int32Array;
  count = 0;
  private readonly memory: IndexMemory;
  private readonly heads: Int32Array;
  private buckets = 1024;
  private low = 1023;
  private freeList = -1;
  /** Nodes from here up were used at least once; below, down to `from`, they never were. */
  private usedFrom: number;
  private from: number;

  constructor(memory: IndexMemory) {
    this.memory = memory;
    this.words = memory.words;
    this.usedFrom = this.words.length;
    this.from = this.words.length;
    // Head words hold node + 1, so that fresh zero pages mean "none".
    this.heads = new Int32Array(Math.max(2048, Math.ceil((2 * memory.maxBytes) / NODE_BYTES)));
    memory.takeElsewhere(1024);
  }

  /** Forgets everything; the memory must have been reset before. */
  reset(): void {
    this.heads.fill(0, 0, this.buckets);
    this.count = 0;
    this.buckets = 1024;
    this.low = 1023;
    this.freeList = -1;
    this.usedFrom = this.words.length;
    this.from = this.words.length;
    this.memory.takeElsewhere(1024);
  }

  /** A node can be added without growing. */
  get hasFree(): boolean {
    return this.freeList >= 0 || this.usedFrom > this.from;
  }

  /** All nodes, live and free, lie from here to the end of `words`, 8 words each. */
  get start(): number {
    return this.usedFrom;
  }

  /** The node of `target` with this key, or -1. */
  find(target: number, lo: number, hi: number): number {
    const words = this.words;
    let node = this.heads[this.bucketOf(hashOf(target, lo, hi))]! - 1;
    while (node >= 0) {
      if (words[node] === lo && words[node + 1] === hi && (words[node + 6]! & 0xfff) === target) return node;
      node = words[node + NEXT]!;
    }
    return -1;
  }

  /**
   * Touches what `find` will read for the keys [from, to), in tight loops whose cache misses overlap; alone, each would
   * be waited for. Writes the first node of each key's bucket to `found`, from index 0. Returns noise to be kept.
   */
  warm(target: number, keys: Int32Array, from: number, to: number, found: Int32Array): number {
    const { words, heads } = this;
    let noise = 0;
    let k = 0;
    for (let i = from; i < to; i += 2)
      found[k++] = heads[this.bucketOf(hashOf(target, keys[i]!, keys[i + 1]!))]! - 1;
    for (let i = 0; i < k; i++) {
      const node = found[i]!;
      if (node >= 0) noise ^= words[node]!;
    }
    return noise;
  }

  /** Adds a node without parent, children or tiers; -1 if there is no room. All words are signed 32-bit. */
  add(target: number, lo: number, hi: number, nameLo: number, nameHi: number, depth: number): number {
    const node = this.take();
    if (node < 0) return -1;
    const words = this.words;
    words[node] = lo;
    words[node + 1] = hi;
    words[node + 2] = nameLo;
    words[node + 3] = nameHi;
    words[node + 4] = -1;
    words[node + 5] = 0;
    words[node + 6] = (depth << 12) | target;
    const bucket = this.bucketOf(hashOf(target, lo, hi));
    words[node + NEXT] = this.heads[bucket]! - 1;
    this.heads[bucket] = node + 1;
    // Two buckets a node: most chains are one node, so most finds are one miss.
    if (2 * ++this.count > this.buckets) {
      this.splitBucket();
      this.splitBucket();
    }
    return node;
  }

  free(node: number): void {
    const words = this.words;
    const heads = this.heads;
    const bucket = this.bucketOf(hashOf(words[node + 6]! & 0xfff, words[node]!, words[node + 1]!));
    let at = heads[bucket]! - 1;
    if (at === node) heads[bucket] = words[node + NEXT]! + 1;
    else {
      while (words[at + NEXT] !== node) at = words[at + NEXT]!;
      words[at + NEXT] = words[node + NEXT]!;
    }
    words[node + 6] = -1;
    words[node + NEXT] = this.freeList;
    this.freeList = node;
    this.count--;
  }

  /** False for a node that was freed. */
  isLive(node: number): boolean {
    return this.words[node + 6] !== -1;
  }

  private take(): number {
    const free = this.freeList;
    if (free >= 0) {
      this.freeList = this.words[free + NEXT]!;
      return free;
    }
    if (this.usedFrom === this.from) {
      if (!this.memory.takeNodes(GROW_NODES * 8)) return -1;
      this.from -= GROW_NODES * 8;
    }
    this.usedFrom -= 8;
    return this.usedFrom;
  }

  private bucketOf(hash: number): number {
    const bucket = hash & (2 * this.low + 1);
    return bucket < this.buckets ? bucket : hash & this.low;
  }

  private splitBucket(): void {
    const { words, heads, low } = this;
    const added = this.buckets;
    if (added >= heads.length) return;
    if ((added & 1023) === 0 && !this.memory.takeElsewhere(1024)) return;
    const from = added & low;
    const high = 2 * low + 1;
    let node = heads[from]! - 1;
    let stays = -1;
    let goes = -1;
    while (node >= 0) {
      const next = words[node + NEXT]!;
      if ((hashOf(words[node + 6]! & 0xfff, words[node]!, words[node + 1]!) & high) === added) {
        words[node + NEXT] = goes;
        goes = node;
      } else {
        words[node + NEXT] = stays;
        stays = node;
      }
      node = next;
    }
    heads[from] = stays + 1;
    heads[added] = goes + 1;
    this.buckets++;
    if (this.buckets === 2 * (low + 1)) this.low = high;
  }
}

function hashOf(target: number, lo: number, hi: number): number {
  let hash = lo ^ Math.imul(hi, 0x9e3779b1) ^ Math.imul(target + 1, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

// One node per (target, engine key): what the events of a target name. Kept beside the table because an engine's key
// says nothing about ours, and because exactness under holes needs, per target, which blocks have resident children.
// Fixed-size nodes in chunks, chained from a linear-hashing directory: growth adds one bucket or one chunk, nothing moves.

export const NODE_WORDS: number = 8;
/** Bytes of one node with its bucket. */
export const NODE_BYTES: number = NODE_WORDS * 4 + 4;
const CHUNK_BITS = 12;
const CHUNK_NODES = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_NODES - 1;
/** Bytes by which the node store grows. */
export const NODE_CHUNK_BYTES: number = CHUNK_NODES * NODE_WORDS * 4;
const HEAD_BITS = 12;
const HEAD_MASK = (1 << HEAD_BITS) - 1;

/** Word offsets inside a node. */
export const KEY_LO: number = 0;
export const KEY_HI: number = 1;
export const NAME_LO: number = 2;
export const NAME_HI: number = 3;
/** Node of the parent block on the same target, or -1. */
export const PARENT: number = 4;
/** Resident children, shifted left by 4, and the tier mask in the low 4 bits. */
export const CHILDREN_TIERS: number = 5;
/** Depth of the block, shifted left by 12, and the target. */
export const PLACE: number = 6;
const NEXT = 7;

/** Depth of a block whose ancestors were never seen. */
export const UNKNOWN_DEPTH: number = 0xfffff;
export const MAX_TARGETS: number = 4096;

export class ResidencyNodes {
  count = 0;
  /** Nodes ever allocated, freed ones included. */
  capacity = 0;
  readonly chunks: Int32Array[] = [];
  readonly heads: Int32Array[] = [];
  buckets = 0;
  private low = 0;
  private freeList = -1;
  private unused = 0;
  private readonly mayAllocate: () => boolean;

  constructor(mayAllocate: () => boolean) {
    this.mayAllocate = mayAllocate;
    this.addHeads();
    this.buckets = 1024;
    this.low = 1023;
  }

  /** A node can be added without growing. */
  get hasFree(): boolean {
    return this.freeList >= 0 || this.unused < this.capacity;
  }

  get bytes(): number {
    return this.chunks.length * CHUNK_NODES * NODE_WORDS * 4 + this.heads.length * (HEAD_MASK + 1) * 4;
  }

  /** The chunk of a node; its words start at `ResidencyNodes.offset(id)`. */
  chunk(id: number): Int32Array {
    return this.chunks[id >>> CHUNK_BITS]!;
  }

  static offset(id: number): number {
    return (id & CHUNK_MASK) << 3;
  }

  /** The next node of `target` with this key, starting after `after`, or -1. */
  find(target: number, lo: number, hi: number): number {
    const bucket = this.bucketOf(hashOf(target, lo, hi));
    let id = this.heads[bucket >>> HEAD_BITS]![bucket & HEAD_MASK]!;
    while (id >= 0) {
      const chunk = this.chunks[id >>> CHUNK_BITS]!;
      const at = (id & CHUNK_MASK) << 3;
      if (chunk[at] === lo && chunk[at + KEY_HI] === hi && (chunk[at + PLACE]! & 0xfff) === target) return id;
      id = chunk[at + NEXT]!;
    }
    return -1;
  }

  /** Adds a node without parent, children or tiers; -1 if there is no room. All words are signed 32-bit. */
  add(target: number, lo: number, hi: number, nameLo: number, nameHi: number, depth: number): number {
    const id = this.take();
    if (id < 0) return -1;
    const chunk = this.chunks[id >>> CHUNK_BITS]!;
    const at = (id & CHUNK_MASK) << 3;
    chunk[at] = lo;
    chunk[at + KEY_HI] = hi;
    chunk[at + NAME_LO] = nameLo;
    chunk[at + NAME_HI] = nameHi;
    chunk[at + PARENT] = -1;
    chunk[at + CHILDREN_TIERS] = 0;
    chunk[at + PLACE] = (depth << 12) | target;
    const bucket = this.bucketOf(hashOf(target, lo, hi));
    const heads = this.heads[bucket >>> HEAD_BITS]!;
    chunk[at + NEXT] = heads[bucket & HEAD_MASK]!;
    heads[bucket & HEAD_MASK] = id;
    if (++this.count > this.buckets) this.splitBucket();
    return id;
  }

  free(id: number): void {
    const chunk = this.chunks[id >>> CHUNK_BITS]!;
    const at = (id & CHUNK_MASK) << 3;
    const bucket = this.bucketOf(hashOf(chunk[at + PLACE]! & 0xfff, chunk[at]!, chunk[at + KEY_HI]!));
    const heads = this.heads[bucket >>> HEAD_BITS]!;
    let before = heads[bucket & HEAD_MASK]!;
    if (before === id) heads[bucket & HEAD_MASK] = chunk[at + NEXT]!;
    else {
      for (;;) {
        const beforeChunk = this.chunks[before >>> CHUNK_BITS]!;
        const next = ((before & CHUNK_MASK) << 3) + NEXT;
        before = beforeChunk[next]!;
        if (before !== id) continue;
        beforeChunk[next] = chunk[at + NEXT]!;
        break;
      }
    }
    chunk[at + PLACE] = -1;
    chunk[at + NEXT] = this.freeList;
    this.freeList = id;
    this.count--;
  }

  /** False for a freed or never used slot. */
  isLive(id: number): boolean {
    return id < this.unused && this.chunks[id >>> CHUNK_BITS]![((id & CHUNK_MASK) << 3) + PLACE] !== -1;
  }

  /** One past the highest node id in use. */
  get end(): number {
    return this.unused;
  }

  private take(): number {
    if (this.freeList >= 0) {
      const id = this.freeList;
      this.freeList = this.chunks[id >>> CHUNK_BITS]![((id & CHUNK_MASK) << 3) + NEXT]!;
      return id;
    }
    if (this.unused === this.capacity) {
      if (!this.mayAllocate()) return -1;
      this.chunks.push(new Int32Array(CHUNK_NODES * NODE_WORDS));
      this.capacity += CHUNK_NODES;
    }
    return this.unused++;
  }

  private bucketOf(hash: number): number {
    const bucket = hash & (2 * this.low + 1);
    return bucket < this.buckets ? bucket : hash & this.low;
  }

  private addHeads(): void {
    this.heads.push(new Int32Array(HEAD_MASK + 1).fill(-1));
  }

  private splitBucket(): void {
    const added = this.buckets;
    if (added >>> HEAD_BITS === this.heads.length) {
      if (!this.mayAllocate()) return;
      this.addHeads();
    }
    const from = added & this.low;
    const high = 2 * this.low + 1;
    let id = this.heads[from >>> HEAD_BITS]![from & HEAD_MASK]!;
    let stays = -1;
    let goes = -1;
    while (id >= 0) {
      const chunk = this.chunks[id >>> CHUNK_BITS]!;
      const at = (id & CHUNK_MASK) << 3;
      const next = chunk[at + NEXT]!;
      if ((hashOf(chunk[at + PLACE]! & 0xfff, chunk[at]!, chunk[at + KEY_HI]!) & high) === added) {
        chunk[at + NEXT] = goes;
        goes = id;
      } else {
        chunk[at + NEXT] = stays;
        stays = id;
      }
      id = next;
    }
    this.heads[from >>> HEAD_BITS]![from & HEAD_MASK] = stays;
    this.heads[added >>> HEAD_BITS]![added & HEAD_MASK] = goes;
    this.buckets++;
    if (this.buckets === 2 * (this.low + 1)) this.low = high;
  }
}

function hashOf(target: number, lo: number, hi: number): number {
  let hash = lo ^ Math.imul(hi, 0x9e3779b1) ^ Math.imul(target + 1, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

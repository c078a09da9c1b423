/** Words of one memory block: segments are whole blocks. */
export const BLOCK_WORDS = 2048;
const BLOCK_BITS = 11;

/** `maxBytes` down to whole blocks. */
export function boundOf(maxBytes: number): number {
  return Math.floor(maxBytes / 4 / BLOCK_WORDS) * BLOCK_WORDS * 4;
}

/**
 * One array for everything bulky: table segments grow from its start, nodes from its end. It is reserved at its bound;
 * the operating system commits a page when it is first written, so an index costs what it holds.
 */
export class IndexMemory {
  readonly words: Int32Array;
  /** First block that no segment has taken. */
  private nextBlock = 0;
  /** First word that nodes have taken. */
  private nodesFrom: number;
  /** Words kept elsewhere that count against the bound. */
  private elsewhereWords = 0;
  private readonly freeSegments = new Map<number, number[]>();

  constructor(maxBytes: number, isShared: boolean = false) {
    const words = boundOf(maxBytes) / 4;
    this.words = new Int32Array(isShared ? new SharedArrayBuffer(words * 4) : new ArrayBuffer(words * 4));
    this.nodesFrom = words;
  }

  get maxBytes(): number {
    return this.words.byteLength;
  }

  /** Blocks that the memory has in all: segment tables are indexed by block. */
  get blocks(): number {
    return this.words.length >>> BLOCK_BITS;
  }

  get bytes(): number {
    return 4 * (this.nextBlock * BLOCK_WORDS + this.words.length - this.nodesFrom + this.elsewhereWords);
  }

  hasRoom(words: number): boolean {
    return this.nextBlock * BLOCK_WORDS + words + this.elsewhereWords <= this.nodesFrom;
  }

  /** Zeroes what was used and starts anew. */
  reset(): void {
    this.words.fill(0, 0, this.nextBlock << BLOCK_BITS);
    this.words.fill(0, this.nodesFrom);
    this.nextBlock = 0;
    this.nodesFrom = this.words.length;
    this.elsewhereWords = 0;
    this.freeSegments.clear();
  }

  /** A zeroed segment of `blocks` blocks, by the number of its first; -1 if the bound forbids it. */
  takeSegment(blocks: number): number {
    const free = this.freeSegments.get(blocks)?.pop();
    if (free !== undefined) return free;
    if (!this.hasRoom(blocks * BLOCK_WORDS)) return -1;
    const block = this.nextBlock;
    this.nextBlock += blocks;
    return block;
  }

  freeSegment(block: number, blocks: number): void {
    this.words.fill(0, block << BLOCK_BITS, (block + blocks) << BLOCK_BITS);
    const free = this.freeSegments.get(blocks);
    if (free === undefined) this.freeSegments.set(blocks, [block]);
    else free.push(block);
  }

  /** `words` more at the node end, leaving a share free for segments; undefined if the bound forbids it. */
  takeNodes(words: number): boolean {
    if (!this.hasRoom(words + (this.words.length >>> 5))) return false;
    this.nodesFrom -= words;
    return true;
  }

  /** Counts words that are kept in an array of their own. */
  takeElsewhere(words: number): boolean {
    if (!this.hasRoom(words)) return false;
    this.elsewhereWords += words;
    return true;
  }
}

import { MAX_TARGETS } from "../prefix-index.ts";
import type { HoleRegister } from "./hole-register.ts";

/** Targets that there is room for at first; doubled as they come. */
const FIRST_TARGETS = 64;

function grown<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/**
 * The bits under which targets appear in bitsets, and what is counted of each. A target that is cleared gets another bit at
 * once; its old one stays taken until its nodes are swept.
 */
export class TargetBits {
  /** Room, in targets. */
  room: number = FIRST_TARGETS;
  isTaken: Uint8Array = new Uint8Array(FIRST_TARGETS);
  isRetired: Uint8Array = new Uint8Array(FIRST_TARGETS);
  /** Residencies, and the XOR of their names. */
  blocks: Int32Array = new Int32Array(FIRST_TARGETS);
  digestLo: Int32Array = new Int32Array(FIRST_TARGETS);
  digestHi: Int32Array = new Int32Array(FIRST_TARGETS);
  live: Int32Array = new Int32Array(FIRST_TARGETS / 32);
  /** Words of bitset that targets take. */
  width = 1;
  /** Retired, and to be swept in the next round. */
  retired: number[] = [];

  /** @throws RangeError beyond 4,096 */
  take(): number {
    const free = this.isTaken.indexOf(0);
    const bit = free < 0 ? this.room : free;
    if (bit >= MAX_TARGETS) throw new RangeError(`An index holds at most ${MAX_TARGETS} targets.`);
    if (free < 0) this.grow(2 * bit);
    this.isTaken[bit] = 1;
    this.live[bit >>> 5]! |= 1 << (bit & 31);
    this.width = Math.max(this.width, (bit >>> 5) + 1);
    this.blocks[bit] = 0;
    this.digestLo[bit] = 0;
    this.digestHi[bit] = 0;
    return bit;
  }

  retire(bit: number, holes: HoleRegister): void {
    this.live[bit >>> 5]! &= ~(1 << (bit & 31));
    // Without blocks and holes it has no nodes: nothing to sweep, which events may never come to do.
    if (this.blocks[bit] === 0 && (holes.byBit[bit]?.nodes.length ?? 0) === 0) {
      this.isTaken[bit] = 0;
      return;
    }
    holes.forget(bit);
    this.isRetired[bit] = 1;
    this.retired.push(bit);
  }

  /** Its nodes are gone. */
  free(bit: number): void {
    this.isRetired[bit] = 0;
    this.isTaken[bit] = 0;
  }

  /** Forgets what was counted, and keeps the targets. */
  reset(): void {
    for (const bit of this.retired) this.free(bit);
    this.retired = [];
    this.blocks.fill(0);
    this.digestLo.fill(0);
    this.digestHi.fill(0);
  }

  private grow(targets: number): void {
    this.room = targets;
    this.isTaken = grown(this.isTaken, new Uint8Array(targets));
    this.isRetired = grown(this.isRetired, new Uint8Array(targets));
    this.blocks = grown(this.blocks, new Int32Array(targets));
    this.digestLo = grown(this.digestLo, new Int32Array(targets));
    this.digestHi = grown(this.digestHi, new Int32Array(targets));
    this.live = grown(this.live, new Int32Array(targets / 32));
  }
}

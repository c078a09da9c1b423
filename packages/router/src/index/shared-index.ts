// Readers of one index on other threads. The writer's words lie in a SharedArrayBuffer; beside them a control block says
// where segments are, which targets live, and counts changes: one counter per segment (odd while it changes) and one for
// the whole structure. A reader takes what it read only if the counters stood still.
import { MAX_TARGETS } from "./prefix-index.ts";

const BLOCK_BITS = 11;
const MASK = (1 << BLOCK_BITS) - 1;
/** Control words: structure counter, shift, width in words, number of targets. */
const STRUCTURE = 0;
const SHIFT = 1;
const WIDTH = 2;
const TARGETS = 3;
const LIVE = 8;
const HOLED = LIVE + MAX_TARGETS / 32;
const BITS = HOLED + MAX_TARGETS / 32;
const DIRECTORY = BITS + MAX_TARGETS;
const MAX_DIRECTORY = 1 << 17;
const VERSIONS = DIRECTORY + MAX_DIRECTORY;
const ATTEMPTS = 16;

/** What a thread needs to read an index: post it to workers, it is not copied. */
export interface SharedIndexHandle {
  readonly words: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

/** The writer's side of the control block. */
export interface SharedControl {
  readonly buffer: SharedArrayBuffer;
  changing(block: number): void;
  changed(block: number): void;
  restructured(directory: Int32Array, shift: number): void;
  /** Publishes which targets live, under which bit, and which have holes. */
  publish(
    width: number,
    bitOf: readonly number[],
    live: Int32Array,
    hasHoles: (bit: number) => boolean,
  ): void;
}

export function createSharedControl(blocks: number): SharedControl {
  const buffer = new SharedArrayBuffer(4 * (VERSIONS + blocks));
  const control = new Int32Array(buffer);
  return {
    buffer,
    changing: (block) => void Atomics.add(control, VERSIONS + block, 1),
    changed: (block) => void Atomics.add(control, VERSIONS + block, 1),
    restructured(directory, shift) {
      if (directory.length > MAX_DIRECTORY) return;
      Atomics.add(control, STRUCTURE, 1);
      control.set(directory, DIRECTORY);
      control[SHIFT] = shift;
      Atomics.add(control, STRUCTURE, 1);
    },
    publish(width, bitOf, live, hasHoles) {
      Atomics.add(control, STRUCTURE, 1);
      control[WIDTH] = width;
      control[TARGETS] = bitOf.length;
      control.set(live.subarray(0, width), LIVE);
      for (let word = 0; word < width; word++) control[HOLED + word] = 0;
      for (let target = 0; target < bitOf.length; target++) {
        const bit = bitOf[target]!;
        control[BITS + target] = bit;
        if (bit >= 0 && hasHoles(bit)) control[HOLED + (bit >>> 5)]! |= 1 << (bit & 31);
      }
      Atomics.add(control, STRUCTURE, 1);
    },
  };
}

/** Looks prefixes up in an index that another thread writes. */
export interface SharedIndexReader {
  /**
   * Leading blocks that each target holds, by target number; reused by the next call. While the writer changes just what
   * is read, the lookup is repeated; undefined if it never stood still.
   */
  lookup(names: BigUint64Array): Int32Array | undefined;
}

export function openSharedIndex(handle: SharedIndexHandle): SharedIndexReader {
  const words = new Int32Array(handle.words);
  const control = new Int32Array(handle.control);
  const depths = new Int32Array(MAX_TARGETS);
  const byBit = new Int32Array(MAX_TARGETS);
  const active = new Int32Array(MAX_TARGETS / 32);
  const held = new Int32Array(MAX_TARGETS / 32);

  /** Reads the holders of one block into `held`. False if it changed meanwhile. */
  function read(lo: number, hi: number, width: number): boolean {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const entry = control[DIRECTORY + (hi >>> control[SHIFT]!)]!;
      const block = entry >>> 8;
      const stride = entry & 0xff;
      const before = Atomics.load(control, VERSIONS + block);
      if ((before & 1) === 1) continue;
      held.fill(0, 0, width);
      for (let i = lo & MASK, steps = 0; steps <= MASK; i = (i + 1) & MASK, steps++) {
        const slot = (block << BLOCK_BITS) + i * stride;
        if (words[slot] === 0) break;
        if (words[slot] !== lo || words[slot + 1] !== hi) continue;
        for (let k = 0; k < width && k + 2 < stride; k++) held[k] = words[slot + 2 + k]!;
        break;
      }
      if (Atomics.load(control, VERSIONS + block) === before) return true;
    }
    return false;
  }

  function attempt(path: Int32Array, blocks: number): boolean {
    const width = control[WIDTH]!;
    byBit.fill(0, 0, width << 5);
    for (let k = 0; k < width; k++) active[k] = control[LIVE + k]!;
    let any = 1;
    let depth = 0;
    let step = 1;
    const isFull = (block: number): boolean | undefined => {
      if (!read(path[2 * block]! || 1, path[2 * block + 1]!, width)) return undefined;
      for (let k = 0; k < width; k++) if ((held[k]! & active[k]!) !== active[k]) return false;
      return true;
    };
    // `depth` is the first block not yet known to be held by all of the active ones.
    while (depth < blocks && any !== 0) {
      let probe = Math.min(depth + step, blocks) - 1;
      const full = isFull(probe);
      if (full === undefined) return false;
      if (full) {
        depth = probe + 1;
        step *= 2;
        continue;
      }
      let low = depth;
      while (low < probe) {
        const middle = (low + probe) >>> 1;
        const isHeld = isFull(middle);
        if (isHeld === undefined) return false;
        if (isHeld) low = middle + 1;
        else probe = middle;
      }
      if (!read(path[2 * probe]! || 1, path[2 * probe + 1]!, width)) return false;
      any = 0;
      for (let k = 0; k < width; k++) {
        settle(k, active[k]! & ~held[k]!, probe);
        active[k]! &= held[k]!;
        any |= active[k]!;
      }
      depth = probe + 1;
      step = 1;
    }
    for (let k = 0; k < width; k++) settle(k, active[k]!, blocks);
    return cutHoled(path, width);
  }

  function settle(word: number, bits: number, depth: number): void {
    for (let rest = bits; rest !== 0;) {
      const bit = 31 - Math.clz32(rest);
      byBit[(word << 5) + bit] = depth;
      rest &= ~(1 << bit);
    }
  }

  /** Targets with holes are walked block by block: where their holes are is the writer's own knowledge. */
  function cutHoled(path: Int32Array, width: number): boolean {
    for (let word = 0; word < width; word++) {
      for (let rest = control[HOLED + word]!; rest !== 0;) {
        const low = 31 - Math.clz32(rest);
        rest &= ~(1 << low);
        const bit = (word << 5) + low;
        for (let i = 0; i < byBit[bit]!; i++) {
          if (!read(path[2 * i]! || 1, path[2 * i + 1]!, width)) return false;
          if ((held[word]! & (1 << low)) === 0) byBit[bit] = i;
        }
      }
    }
    return true;
  }

  return {
    lookup(names) {
      const path = new Int32Array(names.buffer, names.byteOffset, names.length * 2);
      for (let i = 0; i < ATTEMPTS; i++) {
        const before = Atomics.load(control, STRUCTURE);
        if ((before & 1) === 1 || !attempt(path, names.length)) continue;
        if (Atomics.load(control, STRUCTURE) !== before) continue;
        const targets = control[TARGETS]!;
        for (let target = 0; target < targets; target++) {
          const bit = control[BITS + target]!;
          depths[target] = bit < 0 ? 0 : byBit[bit]!;
        }
        return depths;
      }
      return undefined;
    },
  };
}

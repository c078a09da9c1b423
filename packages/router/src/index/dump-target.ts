import type { DumpedBlocks } from "./prefix-index.ts";
import { CHILDREN_TIERS, KEY_HI, KEY_LO, NAME_HI, NAME_LO, PARENT, PLACE } from "./typed/residency-nodes.ts";

/** Where the nodes of an index lie now, laid out as in residency-nodes.ts whichever core wrote them. */
export interface NodeView {
  readonly words: Int32Array;
  readonly start: number;
  readonly end: number;
  /** Of the target that is dumped; -1 once it is gone. */
  readonly bit: number;
}

/** Work of one step: about a millisecond, most of it cache misses. */
const SCAN_WORDS = 8 * 16_384;
const STEP_BLOCKS = 8192;

// A block as it was copied: what its node said, and its parent's. By then both may be other blocks.
const TIERS = 4;
const DEPTH = 5;
const PARENT_NODE = 6;
const PARENT_KEY_LO = 7;
const PARENT_KEY_HI = 8;
const PARENT_NAME_LO = 9;
const PARENT_NAME_HI = 10;
/** The block that goes on in its chain, from 1. */
const FOLLOWER = 11;
const RECORD_WORDS = 12;
/** In PARENT_NODE: it goes on in its parent's chain. */
const FOLLOWS = -2;

/**
 * A target's blocks as chains, each of one tier mask, parents before children, names and keys of all in one buffer each. In
 * steps: events may be applied between them. A block that no event names meanwhile is in it as it was all the time; of the
 * others, whoever calls must know the events.
 */
export function* dumpSteps(view: () => NodeView): Generator<void, DumpedBlocks[], void> {
  const { start, end } = view();
  const blocks = createRecords();
  /** By place of the node: which record was copied from there, from 1. */
  const recordOf = new Int32Array((end - start) >>> 3);
  for (let from = start; from < end; from += SCAN_WORDS) {
    copyBlocks(view(), from, Math.min(end, from + SCAN_WORDS), blocks, (node) => {
      recordOf[(node - start) >>> 3] = blocks.count;
    });
    yield;
  }
  for (let from = 0; from < blocks.count; from += STEP_BLOCKS) {
    const to = Math.min(blocks.count, from + STEP_BLOCKS);
    for (let at = from; at < to; at++) follow(blocks, at, start, recordOf);
    yield;
  }
  return yield* chainsOf(blocks);
}

/** Runs all steps of a piece of work at once. */
export function atOnce<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Copies the target's resident blocks from the nodes in [from, to). */
function copyBlocks(
  { words, bit }: NodeView,
  from: number,
  to: number,
  blocks: Records,
  onCopied: (node: number) => void,
): void {
  if (bit < 0) return;
  for (let node = from; node < to; node += 8) {
    const place = words[node + PLACE]!;
    const tiers = words[node + CHILDREN_TIERS]! & 15;
    if ((place & 0xfff) !== bit || place === -1 || (tiers & 7) === 0) continue;
    const { chunk, at } = blocks.add();
    chunk[at] = words[node + KEY_LO]!;
    chunk[at + 1] = words[node + KEY_HI]!;
    chunk[at + 2] = words[node + NAME_LO]!;
    chunk[at + 3] = words[node + NAME_HI]!;
    chunk[at + TIERS] = tiers;
    chunk[at + DEPTH] = place >>> 12;
    const parent = words[node + PARENT]!;
    chunk[at + PARENT_NODE] = parent;
    if (parent > 0) {
      chunk[at + PARENT_KEY_LO] = words[parent + KEY_LO]!;
      chunk[at + PARENT_KEY_HI] = words[parent + KEY_HI]!;
      chunk[at + PARENT_NAME_LO] = words[parent + NAME_LO]!;
      chunk[at + PARENT_NAME_HI] = words[parent + NAME_HI]!;
    }
    onCopied(node);
  }
}

/** Lets a block go on in its parent's chain, if that is still the block which the parent's node was, and in the same tiers. */
function follow(blocks: Records, index: number, start: number, recordOf: Int32Array): void {
  const { chunk, at } = blocks.get(index);
  const node = chunk[at + PARENT_NODE]!;
  if (node <= 0) return;
  const parent = recordOf[(node - start) >>> 3]! - 1;
  if (!(parent >= 0)) return;
  const { chunk: before, at: there } = blocks.get(parent);
  if (before[there + FOLLOWER] !== 0 || ((before[there + TIERS]! ^ chunk[at + TIERS]!) & 7) !== 0) return;
  if (before[there] !== chunk[at + PARENT_KEY_LO] || before[there + 1] !== chunk[at + PARENT_KEY_HI]) return;
  before[there + FOLLOWER] = index + 1;
  chunk[at + PARENT_NODE] = FOLLOWS;
}

function* chainsOf(blocks: Records): Generator<void, DumpedBlocks[], void> {
  const order = yield* byDepth(blocks);
  const names = new BigUint64Array(blocks.count);
  const keys = new BigUint64Array(blocks.count);
  const [nameWords, keyWords] = [new Int32Array(names.buffer), new Int32Array(keys.buffer)];
  const chains: DumpedBlocks[] = [];
  let [at, work] = [0, 0];
  for (const index of order) {
    if (++work >= STEP_BLOCKS) {
      work = 0;
      yield;
    }
    const { chunk: head, at: there } = blocks.get(index);
    const parent = head[there + PARENT_NODE]!;
    if (parent === FOLLOWS) continue;
    const tiers = head[there + TIERS]!;
    const parentName =
      parent <= 0 ? undefined : u64(head[there + PARENT_NAME_LO]!, head[there + PARENT_NAME_HI]!);
    const parentKey =
      parent <= 0 ? undefined : u64(head[there + PARENT_KEY_LO]!, head[there + PARENT_KEY_HI]!);
    const from = at;
    for (let next = index + 1; next !== 0;) {
      const { chunk, at: word } = blocks.get(next - 1);
      keyWords[2 * at] = chunk[word]!;
      keyWords[2 * at + 1] = chunk[word + 1]!;
      nameWords[2 * at] = chunk[word + 2]!;
      nameWords[2 * at + 1] = chunk[word + 3]!;
      next = chunk[word + FOLLOWER]!;
      at++;
    }
    work += at - from;
    chains.push({
      names: names.subarray(from, at),
      keys: keys.subarray(from, at),
      parentName,
      parentKey,
      tiers,
    });
  }
  return chains;
}

/** Sorted by counting: depths are small. */
function* byDepth(blocks: Records): Generator<void, Int32Array, void> {
  let deepest = 0;
  for (let i = 0; i < blocks.count; i++) {
    const { chunk, at } = blocks.get(i);
    deepest = Math.max(deepest, chunk[at + DEPTH]!);
    if (i % STEP_BLOCKS === 0) yield;
  }
  const places = new Int32Array(deepest + 2);
  for (let i = 0; i < blocks.count; i++) {
    const { chunk, at } = blocks.get(i);
    places[chunk[at + DEPTH]! + 1]!++;
    if (i % STEP_BLOCKS === 0) yield;
  }
  for (let depth = 1; depth < places.length; depth++) places[depth]! += places[depth - 1]!;
  const order = new Int32Array(blocks.count);
  for (let i = 0; i < blocks.count; i++) {
    const { chunk, at } = blocks.get(i);
    order[places[chunk[at + DEPTH]!]!++] = i;
    if (i % STEP_BLOCKS === 0) yield;
  }
  return order;
}

/** Copied blocks, in chunks: growing copies nothing. */
interface Records {
  readonly count: number;
  /** The next one, all zero. */
  add(): { readonly chunk: Int32Array; readonly at: number };
  get(index: number): { readonly chunk: Int32Array; readonly at: number };
}

const CHUNK_RECORDS = 16_384;

function createRecords(): Records {
  const chunks: Int32Array[] = [];
  let count = 0;
  const get = (index: number): { readonly chunk: Int32Array; readonly at: number } => ({
    chunk: chunks[Math.floor(index / CHUNK_RECORDS)]!,
    at: (index % CHUNK_RECORDS) * RECORD_WORDS,
  });
  return {
    get count() {
      return count;
    },
    add() {
      if (count === chunks.length * CHUNK_RECORDS) chunks.push(new Int32Array(CHUNK_RECORDS * RECORD_WORDS));
      return get(count++);
    },
    get,
  };
}

function u64(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

import { CoreError } from "../errors/core-error.ts";
import type { TokenIds } from "../engine/request.ts";
import { blockNameSeed, blockScopeSeed, type BlockScope } from "./block-scope.ts";
import { xxh3Fallback } from "./xxh3-fallback.ts";
import { xxh3, xxh3Native } from "./xxh3.ts";

/** Largest `blockTokens` that is accepted. */
const MAX_BLOCK_TOKENS: number = 16_384;
const MAX_IDS_PER_CALL = 65_536;
const MAX_BLOCKS_PER_CALL = 16_384;

/** A media item whose hash stands in the names of the blocks that its placeholder tokens touch. */
export interface BlockMedia {
  readonly hash: bigint;
  /** Where its placeholder tokens are, counted from the start of the prompt. */
  readonly offsetTokens: number;
  readonly lengthTokens: number;
}

export interface BlockNamerOptions extends BlockScope {
  /** Continues a chain: the name of the block before the first one. */
  readonly parent?: bigint;
  readonly media?: readonly BlockMedia[];
}

/**
 * Names the blocks of one growing token sequence, each token hashed once. Only full blocks have names; a partial tail
 * waits for its tokens.
 */
export interface BlockNamer {
  readonly blockTokens: number;
  /** Tokens appended so far. */
  readonly tokens: number;
  /** Blocks named so far. */
  readonly blocks: number;
  /** Appends ids and returns the names of the blocks that they completed. */
  append(ids: TokenIds): BigUint64Array;
  /** Rolling sequence hashes of all named blocks: a view, valid until the next `append`. */
  names(): BigUint64Array;
  /** Local hashes (of the block's own tokens) of all named blocks: a view, valid until the next `append`. */
  locals(): BigUint64Array;
}

function checkScope(scope: BlockScope): void {
  const { blockTokens, lookaheadTokens = 0 } = scope;
  if (Number.isInteger(blockTokens) && blockTokens >= 1 && blockTokens <= MAX_BLOCK_TOKENS) {
    if (lookaheadTokens === 0 || lookaheadTokens === 1) return;
    throw optionInvalid("lookaheadTokens", lookaheadTokens, "0 or 1");
  }
  throw optionInvalid("blockTokens", blockTokens, `a whole number from 1 to ${MAX_BLOCK_TOKENS}`);
}

function optionInvalid(option: string, value: number, allowed: string): CoreError {
  return new CoreError({
    code: "CORE_OPTION_INVALID",
    kind: "invalid",
    message: `${option} is ${value}; it must be ${allowed}.`,
    data: { option, value },
  });
}

/** Creates a namer for one sequence. @throws CoreError `CORE_OPTION_INVALID` */
export function createBlockNamer(options: BlockNamerOptions): BlockNamer {
  checkScope(options);
  const { blockTokens, lookaheadTokens = 0, media = [] } = options;
  const windowTokens = blockTokens + lookaheadTokens;
  const seed = blockScopeSeed(options);
  let previous = options.parent ?? 0n;
  let isChained = options.parent !== undefined;
  let locals = new BigUint64Array(0);
  let names = new BigUint64Array(0);
  let blocks = 0;
  let tail = new Uint32Array(0);

  function grow(added: number): void {
    if (blocks + added <= names.length) return;
    // The first append usually is the whole prompt: no slack then, doubling afterwards.
    const length = blocks === 0 ? added : Math.max(2 * names.length, blocks + added);
    const [oldLocals, oldNames] = [locals, names];
    locals = new BigUint64Array(length);
    names = new BigUint64Array(length);
    locals.set(oldLocals.subarray(0, blocks));
    names.set(oldNames.subarray(0, blocks));
  }

  function mediaOf(block: number): bigint[] {
    const [first, end] = [block * blockTokens, (block + 1) * blockTokens];
    return media
      .filter((item) => item.offsetTokens < end && item.offsetTokens + item.lengthTokens > first)
      .map((item) => BigInt.asUintN(64, item.hash))
      .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  function push(local: bigint): void {
    previous = isChained
      ? xxh3(new Uint8Array(BigUint64Array.of(previous, local).buffer), blockNameSeed)
      : local;
    isChained = true;
    locals[blocks] = local;
    names[blocks++] = previous;
  }

  function nameOneByOne(ids: Uint32Array, count: number): void {
    const wasm = xxh3Native();
    for (let i = 0; i < count; i++) {
      const extra = mediaOf(blocks);
      const bytes = new Uint8Array(4 * windowTokens + 8 * extra.length);
      bytes.set(new Uint8Array(ids.buffer, ids.byteOffset + 4 * i * blockTokens, 4 * windowTokens));
      const view = new DataView(bytes.buffer);
      extra.forEach((hash, index) => view.setBigUint64(4 * windowTokens + 8 * index, hash, true));
      push(wasm === undefined ? xxh3Fallback(bytes, seed) : xxh3(bytes, seed));
    }
  }

  function nameAll(ids: Uint32Array, count: number): void {
    const wasm = xxh3Native();
    if (wasm === undefined) {
      nameOneByOne(ids, count);
      return;
    }
    const perCall = Math.min(
      MAX_BLOCKS_PER_CALL,
      Math.floor((MAX_IDS_PER_CALL - lookaheadTokens) / blockTokens),
    );
    for (let done = 0; done < count;) {
      const now = Math.min(perCall, count - done);
      wasm.ids.set(ids.subarray(done * blockTokens, (done + now) * blockTokens + lookaheadTokens));
      previous = wasm.exports.name(
        now,
        blockTokens,
        windowTokens,
        seed,
        blockNameSeed,
        isChained ? 1 : 0,
        previous,
      );
      isChained = true;
      locals.set(wasm.out.subarray(0, now), blocks);
      names.set(wasm.out.subarray(now, 2 * now), blocks);
      blocks += now;
      done += now;
    }
  }

  let tokens = 0;
  return {
    blockTokens,
    get tokens() {
      return tokens;
    },
    get blocks() {
      return blocks;
    },
    append(ids) {
      tokens += ids.length;
      let pending: Uint32Array;
      if (tail.length === 0 && ids instanceof Uint32Array) pending = ids;
      else {
        pending = new Uint32Array(tail.length + ids.length);
        pending.set(tail);
        pending.set(ids, tail.length);
      }
      const count = Math.max(0, Math.floor((pending.length - lookaheadTokens) / blockTokens));
      const first = blocks;
      if (count > 0) {
        grow(count);
        const firstMediaToken =
          media.length === 0
            ? Infinity
            : media.reduce((least, item) => Math.min(least, item.offsetTokens), Infinity);
        if (firstMediaToken < (first + count) * blockTokens) nameOneByOne(pending, count);
        else nameAll(pending, count);
      }
      tail = pending.slice(count * blockTokens);
      return names.subarray(first, blocks);
    },
    names: () => names.subarray(0, blocks),
    locals: () => locals.subarray(0, blocks),
  };
}

/** Names the full blocks of `ids` at once. @throws CoreError `CORE_OPTION_INVALID` */
export function nameBlocks(ids: TokenIds, options: BlockNamerOptions): BigUint64Array {
  const namer = createBlockNamer(options);
  return namer.append(ids);
}

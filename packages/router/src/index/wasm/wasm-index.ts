import { atOnce, dumpSteps } from "../dump-target.ts";
import {
  MAX_TARGETS,
  TIER_DEVICE,
  type DumpedBlocks,
  type PrefixIndex,
  type PrefixMatch,
  type StoredBlocks,
} from "../prefix-index.ts";
import { canInstantiate, instantiate, type IndexExports } from "./index-exports.ts";
import { createUnopenedTargets } from "./unopened-targets.ts";

/** Names and keys of one call, as the module is built. */
const CALL_NAMES = 131_072;

/** An opened module with its exchange areas mapped. */
interface Core {
  readonly exports: IndexExports;
  readonly words: Int32Array;
  readonly names: BigUint64Array;
  readonly keys: BigUint64Array;
  /** Name and key of the parent. */
  readonly parents: BigUint64Array;
  readonly counts: Uint32Array;
}

/** What unopened indexes find in slower tiers; never written. */
const nothing = new Int32Array(MAX_TARGETS);

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The index in WebAssembly; undefined where that is not to be had. Longer lookups than 131,072 blocks are cut there. */
export function createWasmIndex(maxBytes: number): PrefixIndex | undefined {
  if (!canInstantiate()) return undefined;
  let core: Core | undefined;
  const unopened = createUnopenedTargets();
  let sharedTarget = -1;
  const match: Writable<PrefixMatch> = {
    depths: new Int32Array(MAX_TARGETS),
    hostBlocks: nothing,
    diskBlocks: nothing,
    sharedDepth: 0,
    probes: 0,
  };

  function open(): Core {
    const exports = instantiate(maxBytes);
    if (exports === undefined)
      throw new RangeError(
        `No address space for an index of ${maxBytes} bytes in WebAssembly: lower index.maxBytes, raise the limit of virtual memory (ulimit -v), or set index.core to "typed".`,
      );
    const { buffer } = exports.memory;
    unopened.replay(exports);
    match.depths = new Int32Array(buffer, exports.depths(), MAX_TARGETS);
    match.hostBlocks = new Int32Array(buffer, exports.hostBlocks(), MAX_TARGETS);
    match.diskBlocks = new Int32Array(buffer, exports.diskBlocks(), MAX_TARGETS);
    return (core = {
      exports,
      words: new Int32Array(buffer),
      names: new BigUint64Array(buffer, exports.names(), CALL_NAMES),
      keys: new BigUint64Array(buffer, exports.keys(), CALL_NAMES),
      parents: new BigUint64Array(buffer, exports.parents(), 2),
      counts: new Uint32Array(buffer, exports.counts(), 8),
    });
  }

  function store(target: number, blocks: StoredBlocks, tier: number): number {
    const { exports, names, keys, parents } = core ?? open();
    const parentKey = blocks.parentKey ?? blocks.parentName;
    if (parentKey !== undefined) {
      parents[0] = blocks.parentName ?? parentKey;
      parents[1] = parentKey;
    }
    const hasKeys = blocks.keys === undefined ? 0 : 1;
    const count = blocks.names.length;
    let hasParent = parentKey === undefined ? 0 : 1;
    let stored = 0;
    while (stored < count) {
      const part = Math.min(CALL_NAMES, count - stored);
      const isWhole = part === count;
      names.set(isWhole ? blocks.names : blocks.names.subarray(stored, stored + part));
      if (blocks.keys !== undefined)
        keys.set(isWhole ? blocks.keys : blocks.keys.subarray(stored, stored + part));
      const taken = exports.store(target, part, hasKeys, hasParent, tier);
      stored += taken;
      if (taken < part) break;
      hasParent = 1;
      parents[0] = names[part - 1]!;
      parents[1] = (hasKeys === 1 ? keys : names)[part - 1]!;
    }
    return stored;
  }

  function remove(target: number, blocks: BigUint64Array, tier: number): void {
    if (core === undefined) return;
    for (let from = 0; from < blocks.length; from += CALL_NAMES) {
      const part = blocks.length <= CALL_NAMES ? blocks : blocks.subarray(from, from + CALL_NAMES);
      core.keys.set(part);
      core.exports.remove(target, part.length, tier);
    }
  }

  /** @throws RangeError */
  function checked(target: number): number {
    if (target < 0) throw new RangeError(`An index holds at most ${MAX_TARGETS} targets.`);
    return target;
  }

  function counts(): Uint32Array | undefined {
    core?.exports.counts();
    return core?.counts;
  }

  function* stepsOf(target: number): Generator<void, DumpedBlocks[], void> {
    if (core === undefined) return [];
    const { exports, words, counts: counted } = core;
    return yield* dumpSteps(() => {
      exports.counts();
      return { words, start: counted[6]!, end: counted[7]!, bit: exports.bitOf(target) };
    });
  }

  const addTarget = (): number => checked((core?.exports ?? unopened).addTarget());

  return {
    core: "wasm",
    shared: undefined,
    get bytes() {
      return counts()?.[3] ?? 0;
    },
    get targets() {
      return (core?.exports ?? unopened).targets();
    },
    stats() {
      const [blocks = 0, nodes = 0, holes = 0, bytes = 0, evicted = 0, refused = 0] = counts() ?? [];
      const bound = Math.floor(maxBytes / 8192) * 8192;
      return { blocks, residencies: nodes - holes, bytes, maxBytes: bound, evicted, refused, holes };
    },
    addTarget,
    removeTarget: (target) => (core?.exports ?? unopened).removeTarget(target),
    clear(target) {
      if (core !== undefined) checked(core.exports.clear(target) - 1);
    },
    digest(target) {
      if (core === undefined) return { blocks: 0, xor: 0n };
      const { exports } = core;
      return { blocks: exports.blocksOf(target), xor: BigInt.asUintN(64, exports.digestOf(target)) };
    },
    nameOf(target, key) {
      if (core === undefined) return undefined;
      core.parents[1] = key;
      const node = core.exports.find(target);
      if (node === 0) return undefined;
      return new BigUint64Array(core.words.buffer, 4 * node + 8, 1)[0];
    },
    store: (target, blocks, tier = TIER_DEVICE) => store(target, blocks, tier),
    remove: (target, names, keys, tier = TIER_DEVICE) => remove(target, keys ?? names, tier),
    storeShared(blocks) {
      if (sharedTarget < 0) sharedTarget = addTarget();
      return store(sharedTarget, { names: blocks.names, parentName: blocks.parentName }, TIER_DEVICE);
    },
    removeShared(names) {
      if (sharedTarget >= 0) remove(sharedTarget, names, TIER_DEVICE);
    },
    dump: (target) => atOnce(stepsOf(target)),
    dumpSteps: stepsOf,
    lookup(names) {
      if (core === undefined) {
        // Callers raise what they found by what they expect.
        match.depths.fill(0);
        return match;
      }
      const { exports } = core;
      const count = Math.min(names.length, CALL_NAMES);
      core.names.set(count === names.length ? names : names.subarray(0, count));
      exports.lookup(count);
      match.probes = exports.probes();
      match.sharedDepth = sharedTarget < 0 ? 0 : match.depths[sharedTarget]!;
      return match;
    },
    sweep: (nodes) => core?.exports.sweep(nodes),
  };
}

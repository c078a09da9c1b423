import { describe, expect, test } from "vitest";
import { createNaiveIndex } from "./naive-index.ts";
import { type PrefixIndexOptions, TIER_DEVICE, TIER_DISK, TIER_HOST } from "./prefix-index.ts";
import { createPrefixIndex } from "./create-prefix-index.ts";

/** A tree of chains with true names: block i of chain c follows block i - 1 or the block it branched from. */
function createForest(random: () => number, chains: number, longest: number): bigint[][] {
  const forest: bigint[][] = [];
  let next = 1n;
  for (let c = 0; c < chains; c++) {
    const from = c === 0 ? [] : forest[Math.floor(random() * forest.length)]!;
    const path = from.slice(0, Math.floor(random() * (from.length + 1)));
    const length = path.length + 1 + Math.floor(random() * longest);
    while (path.length < length) path.push((BigInt.asUintN(64, next++ * 0x9e3779b97f4a7c15n) ^ 0x5555n) | 1n);
    forest.push(path);
  }
  return forest;
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const names = (path: readonly bigint[]): BigUint64Array => BigUint64Array.from(path);

interface Churn {
  readonly seed: number;
  readonly operations: number;
  readonly targets: number;
  readonly hasKeys: boolean;
  readonly tiers: readonly number[];
}

/** Random stores, removals (head first, tail first, scattered), clears and target losses, against the naive model. */
function churn(
  core: PrefixIndexOptions["core"] & string,
  { seed, operations, targets, hasKeys, tiers }: Churn,
): void {
  const random = seeded(seed);
  const forest = createForest(random, 60, 24);
  const index = createPrefixIndex({ core });
  expect(index.core).toBe(core);
  const naive = createNaiveIndex();
  const ids = Array.from({ length: targets }, () => index.addTarget());
  const keyOf = (target: number, name: bigint): bigint =>
    hasKeys ? BigInt.asUintN(64, name * 0xff51afd7ed558ccdn + BigInt(target)) : name;
  const keysOf = (target: number, path: readonly bigint[]): BigUint64Array | undefined =>
    hasKeys ? names(path.map((name) => keyOf(target, name))) : undefined;
  for (let operation = 0; operation < operations;) {
    const slot = Math.floor(random() * targets);
    const target = ids[slot]!;
    const path = forest[Math.floor(random() * forest.length)]!;
    const tier = tiers[Math.floor(random() * tiers.length)]!;
    const dice = random();
    if (dice < 0.48) {
      const from = random() < 0.8 ? 0 : Math.floor(random() * path.length);
      const part = path.slice(from, from + 1 + Math.floor(random() * path.length));
      const parent = from === 0 ? undefined : path[from - 1]!;
      index.store(
        target,
        {
          names: names(part),
          keys: keysOf(target, part),
          parentName: parent,
          parentKey: parent === undefined ? undefined : keyOf(target, parent),
        },
        tier,
      );
      naive.store(target, part, tier);
      operation += part.length;
    } else if (dice < 0.96) {
      const count = 1 + Math.floor(random() * path.length);
      const how = random();
      const part =
        how < 0.35
          ? path.slice(0, count)
          : how < 0.7
            ? path.slice(-count).reverse()
            : path.filter(() => random() < 0.3);
      index.remove(target, names(part), keysOf(target, part), tier);
      naive.remove(target, part, tier);
      operation += part.length;
    } else if (dice < 0.963) {
      index.clear(target);
      naive.clear(target);
      operation++;
    } else if (dice < 0.965) {
      index.removeTarget(target);
      naive.clear(target);
      ids[slot] = index.addTarget();
      operation++;
    } else {
      const match = index.lookup(names(path));
      for (const id of ids) {
        const wrong = `seed ${seed}, operation ${operation}, target ${id}`;
        if (match.depths[id] !== naive.depth(id, path))
          expect(match.depths[id], wrong).toBe(naive.depth(id, path));
        const slow = [match.hostBlocks[id], match.diskBlocks[id]];
        const expected = [naive.blocksIn(id, path, TIER_HOST), naive.blocksIn(id, path, TIER_DISK)];
        if (slow[0] !== expected[0] || slow[1] !== expected[1]) expect(slow, wrong).toEqual(expected);
      }
    }
  }
  sweepAll(index);
  expect(index.stats().residencies).toBe(naive.residencies());
  const restored = createPrefixIndex({ core: core === "wasm" ? "typed" : "wasm" });
  for (const id of ids) {
    const copy = restored.addTarget();
    for (const { tiers, ...blocks } of index.dump(id)) {
      for (const tier of [TIER_DEVICE, TIER_HOST, TIER_DISK])
        if ((tiers & tier) !== 0) restored.store(copy, blocks, tier);
    }
    expect(restored.digest(copy)).toEqual(index.digest(id));
    for (const path of forest) expect(restored.lookup(names(path)).depths[copy]).toBe(naive.depth(id, path));
  }
}

/** Sweeps until retired targets left no node. */
function sweepAll(index: PrefixIndex): void {
  for (let i = 0; i < 4; i++) index.sweep(1_000_000);
}

describe.each(["wasm", "typed"] as const)("the index, %s", (core) => {
  test.each([
    { seed: 1, operations: 400_000, targets: 5, hasKeys: false, tiers: [TIER_DEVICE] },
    { seed: 2, operations: 300_000, targets: 70, hasKeys: true, tiers: [TIER_DEVICE] },
    { seed: 3, operations: 300_000, targets: 12, hasKeys: true, tiers: [TIER_DEVICE, TIER_HOST, TIER_DISK] },
  ])("equals the naive model under churn: $targets targets, keys $hasKeys, tiers $tiers", (options) =>
    churn(core, options),
  );

  test("stays within its bytes under endless distinct prefixes, giving up leaves of the larger targets", () => {
    const index = createPrefixIndex({ core, maxBytes: 2 * 1024 * 1024 });
    const [small, large] = [index.addTarget(), index.addTarget()];
    const kept = names(createForest(seeded(9), 1, 40)[0]!);
    index.store(small, { names: kept });
    const random = seeded(10);
    for (let chain = 0; chain < 4000; chain++) {
      const blocks = BigUint64Array.from(
        { length: 50 },
        () => (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32)),
      );
      index.store(large, { names: blocks });
      expect(index.bytes).toBeLessThanOrEqual(2 * 1024 * 1024);
      const depth = index.lookup(blocks).depths[large]!;
      expect(depth).toBeGreaterThan(0);
    }
    expect(index.stats().evicted).toBeGreaterThan(100_000);
    expect(index.lookup(kept).depths[small]).toBe(kept.length);
  });

  test("costs the documented bytes per block", () => {
    const index = createPrefixIndex({ core });
    const target = index.addTarget();
    const random = seeded(3);
    for (let chain = 0; chain < 2000; chain++) {
      index.store(target, {
        names: BigUint64Array.from(
          { length: 100 },
          () => (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32)),
        ),
      });
    }
    const { bytes, blocks } = index.stats();
    expect(blocks).toBe(200_000);
    // 40 bytes of node and buckets, and a 12-byte slot at 37 to 75 % load.
    expect(bytes / blocks).toBeGreaterThan(40 + 12 / 0.75);
    expect(bytes / blocks).toBeLessThan(40 + 12 / 0.37 + 2);
  });

  test("resolves engine keys to names, and shares what lies in common storage", () => {
    const index = createPrefixIndex({ core });
    const [a, b] = [index.addTarget(), index.addTarget()];
    const path = names([11n, 12n, 13n]);
    index.store(a, { names: path, keys: names([101n, 102n, 103n]) });
    expect([index.nameOf(a, 102n), index.nameOf(b, 102n)]).toEqual([12n, undefined]);
    index.storeShared({ names: path.subarray(0, 2) });
    const match = index.lookup(path);
    expect([match.depths[a], match.depths[b], match.sharedDepth]).toEqual([3, 0, 2]);
    index.removeShared(path.subarray(0, 1));
    expect(index.lookup(path).sharedDepth).toBe(0);
  });

  test("reserves nothing before the first block, and grows with its targets", () => {
    const index = createPrefixIndex({ core });
    const other = createPrefixIndex({ core });
    const path = names([21n, 22n, 23n]);
    const targets = Array.from({ length: 300 }, () => index.addTarget());
    expect(index.bytes).toBe(0);
    expect(index.lookup(path).depths[targets[299]!]).toBe(0);
    index.remove(targets[0]!, path, undefined);
    expect(index.dump(targets[0]!)).toEqual([]);
    index.store(targets[0]!, { names: path });
    index.store(targets[299]!, { names: path.subarray(0, 2) });
    const { depths } = index.lookup(path);
    expect([depths[targets[0]!], depths[targets[150]!], depths[targets[299]!]]).toEqual([3, 0, 2]);
    index.addTarget();
    expect(index.lookup(path).depths[targets[299]!]).toBe(2);
    expect(index.stats()).toMatchObject({ blocks: 3, residencies: 5 });
    expect(other.bytes).toBe(0);
    expect(other.stats()).toMatchObject({ blocks: 0, residencies: 0, bytes: 0 });
  });

  test("targets that never stored anything come and go for ever", () => {
    const index = createPrefixIndex({ core, maxBytes: 1024 * 1024 });
    for (let i = 0; i < 5_000; i++) {
      const target = index.addTarget();
      index.clear(target);
      index.removeTarget(target);
    }
    expect(index.targets).toBe(1);
  });
});

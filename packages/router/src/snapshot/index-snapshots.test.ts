import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVirtualClock, hashSchemeXxh3, type KvEvent, type Worker } from "@stator/core";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { createIndexSnapshots } from "./index-snapshots.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot-codec.ts";

let folder = "";
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "stator-snapshot-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));
const path = (): string => join(folder, "index");

const worker = (id: string, epoch: string): Worker => ({
  id,
  epoch,
  role: "both",
  model: "m",
  capacity: { requests: 16, kvBlocks: 1_000, queue: 64 },
  ranks: 1,
  labels: {},
});

/** A selector that knows workers a and b, in the given life of b. */
function selectorOf(epochOfB: string = "1"): Selector {
  const selector = createSelector();
  for (const [id, epoch] of [
    ["a", "1"],
    ["b", epochOfB],
  ] as const)
    selector.addWorker(worker(id, epoch), { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] });
  return selector;
}

const names = (count: number, from: number = 1): BigUint64Array =>
  BigUint64Array.from({ length: count }, (_, i) => BigInt(from + i));
const stored = (blocks: BigUint64Array): KvEvent => ({
  type: "stored",
  sequenceHashes: blocks,
  tier: "device",
  rank: 0,
});
const warm = (selector: Selector, id: string, count: number): void => {
  const sequence = selector.nextSequence(id) ?? 1n;
  selector.observe({ worker: id, epoch: "1", sequence, events: [stored(names(count))] });
};

test("a router that starts again is warm from its file, for the lives that are still there", async () => {
  const first = selectorOf();
  warm(first, "a", 60);
  warm(first, "b", 40);
  const snapshots = createIndexSnapshots({ selector: first, path: path() });
  expect(await snapshots.save()).toBe(true);
  const again = selectorOf("2");
  expect(await createIndexSnapshots({ selector: again, path: path() }).load()).toBe(1);
  expect(again.holdings(names(60))).toMatchObject([{ worker: "a", blocks: 60 }]);
  expect(again.nextSequence("a")).toBe(2n);
  expect(await readdir(folder)).toEqual(["index"]);
});

test("a snapshot that cannot be written leaves the old one whole, and is counted", async () => {
  const selector = selectorOf();
  warm(selector, "a", 10);
  const snapshots = createIndexSnapshots({ selector, path: path() });
  await snapshots.save();
  const before = await readFile(path());
  warm(selector, "a", 500);
  // Where a folder is in the way, no file can be opened; a full disk ends the same way, after the first bytes.
  await rm(`${path()}.tmp`, { force: true });
  const { mkdir } = await import("node:fs/promises");
  await mkdir(`${path()}.tmp`);
  expect(await snapshots.save()).toBe(false);
  expect(snapshots.failures).toBe(1);
  expect(await readFile(path())).toEqual(before);
  const again = selectorOf();
  expect(await createIndexSnapshots({ selector: again, path: path() }).load()).toBe(1);
  expect(again.holdings(names(10))).toMatchObject([{ worker: "a", blocks: 10 }]);
});

test("no file is no failure; a damaged one is, and is not used", async () => {
  const selector = selectorOf();
  const snapshots = createIndexSnapshots({ selector, path: path() });
  expect(await snapshots.load()).toBe(0);
  expect(snapshots.failures).toBe(0);
  warm(selector, "a", 10);
  await snapshots.save();
  const whole = await readFile(path());
  await truncate(path(), whole.length - 3);
  expect(await snapshots.load()).toBe(0);
  const flipped = Buffer.from(whole);
  flipped[20] = flipped[20]! ^ 1;
  await writeFile(path(), flipped);
  expect(await snapshots.load()).toBe(0);
  expect(snapshots.failures).toBe(2);
});

test("saves by itself, one after the other", async () => {
  const clock = createVirtualClock();
  const selector = selectorOf();
  warm(selector, "a", 1);
  const snapshots = createIndexSnapshots({ selector, path: path(), everyMs: 1_000, clock });
  clock.advance(1_000);
  await expect.poll(() => readdir(folder)).toEqual(["index"]);
  snapshots.close();
  expect(() => createIndexSnapshots({ selector, path: path(), everyMs: 0 })).toThrow(/everyMs/);
});

test("whatever events come back as they went", () => {
  const event = fc.record({
    blocks: fc.uint8Array({ maxLength: 20 }),
    tier: fc.constantFrom("device", "host", "disk", "shared"),
    rank: fc.nat(3),
    parent: fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { nil: undefined }),
    group: fc.option(fc.nat(3), { nil: undefined }),
    type: fc.constantFrom("stored", "removed", "cleared"),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 6 }), fc.string(), (given, id) => {
      const events = given.map(({ blocks, tier, rank, parent, group, type }): KvEvent => {
        if (type === "cleared") return { type, rank };
        const sequenceHashes = BigUint64Array.from(blocks, (one) => BigInt(one) << 40n);
        const common = { sequenceHashes, tier, rank, ...(group === undefined ? {} : { group }) };
        if (type === "removed") return { type, ...common } as KvEvent;
        return { type, ...common, ...(parent === undefined ? {} : { parent }) } as KvEvent;
      });
      const batch = { worker: id, epoch: "e", sequence: 7n, events, isSnapshot: true };
      expect(decodeSnapshot(encodeSnapshot([batch, batch]))).toEqual([batch, batch]);
    }),
  );
});

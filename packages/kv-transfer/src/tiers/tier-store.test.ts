import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diskTier } from "./disk-tier.ts";
import { hostTier } from "./host-tier.ts";
import type { TierBlock, TierChange } from "./kv-tier.ts";
import { createTierStore } from "./tier-store.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "stator-tier-"));
});
afterEach(() => rm(directory, { recursive: true }));

const block = (seed: string, bytes = 1000, name = 7n): TierBlock => ({
  key: createHash("sha256").update(seed).digest(),
  name,
  bytes: randomBytes(bytes),
});
const filesOf = async (): Promise<string[]> =>
  (await readdir(directory, { recursive: true }))
    .filter((name) => name.endsWith(".kv"))
    .map((name) => join(directory, name));

describe("a store of host and disk", () => {
  it("brings a block that left host memory back from disk, byte for byte", async () => {
    const changes: TierChange[] = [];
    const store = await createTierStore({
      tiers: [hostTier({ budgetBytes: 2500 }), diskTier({ directory, budgetBytes: 1e6 })],
      onChange: (change) => changes.push(change),
    });
    const blocks = ["a", "b", "c"].map((seed) => block(seed));
    for (const each of blocks) await store.put(each);
    await store.settled();
    const gone = blocks.find((each) => store.where(each.key) === "disk") as TierBlock;
    expect(store.leading(blocks.map((each) => each.key))).toBe(3);
    const hit = await store.get(gone.key);
    expect(hit?.tier).toBe("disk");
    expect(Buffer.compare(hit?.block.bytes as Uint8Array, gone.bytes)).toBe(0);
    expect(store.where(gone.key)).toBe("host");
    const count = (type: string, tier: string): number =>
      changes.filter((change) => change.type === type && change.tier === tier).length;
    expect([count("stored", "host"), count("removed", "host"), count("stored", "disk")]).toEqual([4, 2, 3]);
    await store.close();
  });

  it("never shares KV of two prompts that were forced to one routing name", async () => {
    const store = await createTierStore({
      tiers: [hostTier({ budgetBytes: 1e6 }), diskTier({ directory, budgetBytes: 1e6 })],
    });
    const [first, second] = [block("prompt one", 100, 42n), block("prompt two", 100, 42n)];
    await store.put(first);
    expect(await store.get(second.key)).toBeUndefined();
    await store.put(second);
    expect(Buffer.compare((await store.get(first.key))?.block.bytes as Uint8Array, first.bytes)).toBe(0);
    expect(Buffer.compare((await store.get(second.key))?.block.bytes as Uint8Array, second.bytes)).toBe(0);
    await store.close();
  });

  it("leaves the caller's buffer free to be reused", async () => {
    const store = await createTierStore({
      tiers: [hostTier({ budgetBytes: 1e6 }), diskTier({ directory, budgetBytes: 1e6 })],
    });
    const original = block("x");
    const content = Buffer.from(original.bytes);
    await store.put(original);
    original.bytes.fill(0);
    await store.settled();
    await store.tiers[0]?.remove(original.key);
    expect(Buffer.compare((await store.get(original.key))?.block.bytes as Uint8Array, content)).toBe(0);
    await store.close();
  });
});

describe("the disk tier", () => {
  it("takes over whole blocks after a restart, with their names, and deletes damaged and half-written ones", async () => {
    const first = await createTierStore({ tiers: [diskTier({ directory, budgetBytes: 1e6 })] });
    const blocks = ["whole", "flipped", "short", "header"].map((seed, i) => block(seed, 500, BigInt(i)));
    for (const each of blocks) await first.put(each);
    await first.close();
    const pathOf = async (each: TierBlock): Promise<string> =>
      (await filesOf()).find((path) => path.includes(Buffer.from(each.key).toString("hex"))) as string;
    const flip = async (path: string, at: number): Promise<void> => {
      const file = await readFile(path);
      file[at] = (file[at] as number) ^ 1;
      await writeFile(path, file);
    };
    await flip(await pathOf(blocks[1] as TierBlock), 300);
    await truncate(await pathOf(blocks[2] as TierBlock), 200);
    await flip(await pathOf(blocks[3] as TierBlock), 10);
    await writeFile(join(directory, "1-1.tmp"), "half");
    const changes: TierChange[] = [];
    const second = await createTierStore({
      tiers: [diskTier({ directory, budgetBytes: 1e6 })],
      onChange: (change) => changes.push(change),
    });
    expect(
      changes
        .filter((change) => change.type === "stored")
        .map((change) => change.name)
        .sort(),
    ).toEqual([0n, 1n]);
    expect(
      Buffer.compare(
        (await second.get((blocks[0] as TierBlock).key))?.block.bytes as Uint8Array,
        (blocks[0] as TierBlock).bytes,
      ),
    ).toBe(0);
    for (const each of blocks.slice(1)) expect(await second.get(each.key)).toBeUndefined();
    expect((await filesOf()).length).toBe(1);
    expect(changes.at(-1)).toMatchObject({ type: "removed", name: 1n });
    await second.close();
  });

  it("stays within its bytes", async () => {
    const store = await createTierStore({ tiers: [diskTier({ directory, budgetBytes: 5000 })] });
    for (let i = 0; i < 20; i += 1) {
      await store.put(block(String(i)));
      expect(store.tiers[0]?.usedBytes).toBeLessThanOrEqual(5000);
    }
    expect((await filesOf()).length).toBe(store.tiers[0]?.blocks);
    await store.close();
  });
});

it("a block that is used often outlives a burst of others, and one too large is not kept", async () => {
  const store = await createTierStore({ tiers: [hostTier({ budgetBytes: 10_000 })] });
  const hot = block("system prompt");
  await store.put(hot);
  for (let i = 0; i < 9; i += 1) await store.put(block(`warm ${i}`));
  for (let i = 0; i < 12; i += 1) await store.get(hot.key);
  for (let i = 0; i < 20; i += 1) await store.put(block(`burst ${i}`));
  expect(store.where(hot.key)).toBe("host");
  await store.put(block("huge", 20_000));
  expect(store.where(block("huge").key)).toBeUndefined();
  for (let i = 0; i < 400; i += 1) await store.put(block(`later ${i}`));
  expect(store.where(hot.key)).toBeUndefined();
  await store.close();
});

it("gives up blocks that a slow tier has no room to wait for, and counts them", async () => {
  const counted = new Map<string, number>();
  const family = (name: string) => ({
    labels: ({ tier }: { tier: string }) => ({
      add: (value = 1) => void counted.set(`${name} ${tier}`, (counted.get(`${name} ${tier}`) ?? 0) + value),
      set: (value: number) => void counted.set(`${name} ${tier}`, value),
      observe: () => undefined,
    }),
    remove: () => undefined,
  });
  const make = ({ name }: { name: string }) => family(name) as never;
  const store = await createTierStore({
    tiers: [hostTier({ budgetBytes: 1e6 }), diskTier({ directory, budgetBytes: 1e6 })],
    maxPendingBytes: 2_500,
    meter: { counter: make, gauge: make, histogram: make },
  });
  const blocks = ["a", "b", "c", "d"].map((seed) => block(seed));
  for (const each of blocks) await store.put(each);
  await store.settled();
  expect(store.tiers.map(({ blocks: held }) => held)).toEqual([4, 2]);
  expect(counted.get("kv_tier_dropped_blocks disk")).toBe(2);
  expect(counted.get("kv_tier_blocks host")).toBe(4);
  await store.close();
});

it("says which blocks of another scope it must not tell of, and evicts them first", async () => {
  const open = (scope: string, changes: TierChange[]) =>
    createTierStore({
      tiers: [diskTier({ directory, budgetBytes: 4_500 })],
      scope,
      onChange: (change) => changes.push(change),
    });
  const first = await open("one model", []);
  for (const seed of ["a", "b"]) await first.put(block(seed));
  await first.close();
  const changes: TierChange[] = [];
  const second = await open("another", changes);
  expect(second.tiers[0]?.blocks).toBe(2);
  const own = ["c", "d", "e", "f"].map((seed) => block(seed));
  for (const each of own) await second.put(each);
  expect(changes.map(({ type }) => type)).toEqual(["stored", "stored", "stored", "stored"]);
  expect(second.leading(own.map(({ key }) => key))).toBe(4);
  await second.close();
});

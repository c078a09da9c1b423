import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseLayout } from "@stator/core";
import { createTierStore } from "@stator/kv-transfer";
import { expect, test } from "vitest";
import { overrideLayout } from "../up/override-layout.ts";
import { llamaTiers } from "./llama-tiers.ts";

const noStore = (): never => {
  throw new Error("no store was named");
};

test("flags and layouts name each worker's KV tiers", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "stator-llama-tiers-"));
  const plain = parseLayout({
    models: { tiny: { pools: { both: { role: "both", replicas: 1, engine: { kind: "llama" } } } } },
  });
  const engineOf = (overrides: Parameters<typeof overrideLayout>[1]) => {
    const { engine } = overrideLayout(plain, overrides).models["tiny"]!.pools["both"]!;
    if (engine.kind !== "llama") throw new Error("not llama");
    return engine;
  };
  expect(llamaTiers(engineOf({}), "w", noStore)).toHaveLength(1);
  expect(llamaTiers(engineOf({ hostCacheBytes: 0 }), "w", noStore)).toEqual([]);
  expect(() => llamaTiers(engineOf({ sharedCache: "kv-store" }), "w", noStore)).toThrow(/no store/);
  const engine = engineOf({ hostCacheBytes: 1_000, diskCache: folder, diskCacheBytes: 2_000 });
  const store = await createTierStore({ tiers: llamaTiers(engine, "tiny-both-0", noStore) });
  expect(store.tiers.map(({ kind, budgetBytes }) => [kind, budgetBytes])).toEqual([
    ["host", 1_000],
    ["disk", 2_000],
  ]);
  expect(await readdir(folder)).toEqual(["tiny-both-0"]);
  await store.close();
  await rm(folder, { recursive: true });
});

import { nameBlocks, type KvEvent } from "@stator/core";
import { expect, test } from "vitest";
import { createSimulatedEngine } from "../simulated/index.ts";
import { startTrtllmFake } from "../testing/fakes/trtllm-fake.ts";
import { trtllm } from "./trtllm.ts";

const block = (hash: bigint | number, ids: readonly number[]): unknown => ({
  type: "stored_block",
  block_hash: hash,
  tokens: ids.map((id) => ({ type: "unique_token", token_id: id, token_extra_id: 0 })),
  cache_level: 0,
});

test("events that reading drains become ours: partial blocks and small windows left out, tiers followed, gaps noticed", async () => {
  const ids = Array.from({ length: 40 }, (_, i) => i + 1);
  const names = nameBlocks(ids, { blockTokens: 16 });
  const stored = (id: number, window: number): unknown => ({
    event_id: id,
    window_size: window,
    data: {
      type: "stored",
      parent_hash: null,
      blocks: [block(2n ** 63n + 1n, ids.slice(0, 16)), block(2, ids.slice(16, 32)), block(3, ids.slice(32))],
    },
  });
  const kvEvents: unknown[] = [
    { event_id: 0, window_size: 512, data: { type: "created", num_blocks_per_cache_level: [10, 0] } },
    stored(1, 512),
    stored(2, 128),
    {
      event_id: 3,
      window_size: 512,
      data: {
        type: "updated",
        block_hash: 2,
        cache_level: { type: "event_diff", old_value: 0, new_value: 1 },
      },
    },
  ];
  await using fake = await startTrtllmFake({
    engine: createSimulatedEngine({ contextTokens: 512 }),
    kvEvents,
  });
  const engine = trtllm({ url: fake.url, kvEvents: true, pollMs: 20 });
  const seen: KvEvent[] = [];
  engine.onStatus?.(({ events = [] }) => seen.push(...events.flatMap((batch) => batch.events)));
  await expect.poll(() => seen.map(({ type }) => type)).toEqual(["stored", "stored", "stored", "removed"]);
  expect(seen.flatMap((e) => (e.type === "stored" ? [...e.sequenceHashes] : []))).toEqual([
    ...names,
    names[1],
  ]);
  expect(seen[2]).toMatchObject({ tier: "host", parent: names[0] });
  expect(engine.snapshot?.()?.events).toHaveLength(2);

  kvEvents.push({ event_id: 9, window_size: 512, data: { type: "removed", block_hashes: [2] } });
  await expect.poll(() => seen.at(-1)?.type).toBe("cleared");
  await engine.close();
});

import { createRequest, hashSchemeXxh3, nameBlocks, type Worker } from "@stator/core";
import { expect, test } from "vitest";
import { createSelector, kvAware } from "./selector/index.ts";

test("the README's snippet routes to the holder, books and frees", () => {
  const promptIds = Uint32Array.from({ length: 128 }, (_, i) => i);
  const card = { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] };
  const fleet = ["a", "b"].map((id): { worker: Worker; card: typeof card } => ({
    worker: {
      id,
      epoch: "1",
      role: "both",
      model: "m",
      capacity: { requests: 8, kvBlocks: 100, queue: 8 },
      ranks: 1,
      labels: {},
    },
    card,
  }));
  const sequenceHashes = nameBlocks(promptIds, { blockTokens: 16 }).slice(0, 6);
  const batch = {
    worker: "b",
    epoch: "1",
    sequence: 1n,
    events: [{ type: "stored", sequenceHashes, tier: "device", rank: 0 } as const],
  };

  const selector = createSelector({ policy: kvAware() });
  for (const { worker, card: each } of fleet) selector.addWorker(worker, each);
  selector.observe(batch);
  const decision = selector.select(selector.prepare(createRequest({ id: "1", model: "m", promptIds })), {
    explain: true,
  });
  expect([decision.chosen?.worker, decision.chosen?.cachedTokens]).toEqual(["b", 96]);
  const booking = selector.book(decision);
  booking.prefilled({ cachedTokens: 96 });
  booking.free();
  expect(selector.loads().map((load) => load.activeRequests)).toEqual([0, 0]);
});

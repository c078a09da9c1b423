import { defineEngine, wrapEngine, type Engine, type EngineStatus, type KvEventBatch } from "@stator/core";
import { createRuntime, type Discovery, type EventPlane } from "@stator/runtime";
import { expect, test } from "vitest";

const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 9 };
const echo = defineEngine(
  { model: "m", contextTokens: 99, tokenizer: { json: "{}", digest: "d", specialIds: { eos: [0] } } },
  async function* () {
    await Promise.resolve();
    yield { ids: [1] };
  },
);

/** An engine with blocks that the test stores and removes. */
export interface BlockEngine {
  readonly engine: Engine;
  readonly blocks: Set<bigint>;
  store(...names: readonly bigint[]): void;
  remove(...names: readonly bigint[]): void;
}

export function blockEngine(): BlockEngine {
  const blocks = new Set<bigint>();
  let sequence = 0n;
  let tell: (status: EngineStatus) => void = () => {};
  const batchOf = (type: "stored" | "removed", names: readonly bigint[]): KvEventBatch => ({
    worker: "",
    epoch: "",
    sequence,
    events: [{ type, sequenceHashes: BigUint64Array.from(names), tier: "device", rank: 0 }],
  });
  const say = (type: "stored" | "removed", names: readonly bigint[]): void => {
    sequence += 1n;
    for (const name of names) {
      if (type === "stored") blocks.add(name);
      else blocks.delete(name);
    }
    tell({ step: 1, stepAgeMs: 0, stepExpectedMs: 0, load, events: [batchOf(type, names)] });
  };
  return {
    blocks,
    store: (...names) => say("stored", names),
    remove: (...names) => say("removed", names),
    engine: wrapEngine(echo, {
      onStatus(listener) {
        tell = listener;
        return () => {};
      },
      snapshot: () => ({ ...batchOf("stored", [...blocks]), isSnapshot: true }),
    }),
  };
}

/** What an index would hold, by worker. */
export function indexOf(): { add(batch: KvEventBatch): void; blocks(worker: string): string } {
  const all = new Map<string, Set<bigint>>();
  return {
    add(batch) {
      const held = batch.isSnapshot === true ? new Set<bigint>() : (all.get(batch.worker) ?? new Set());
      all.set(batch.worker, held);
      for (const event of batch.events) {
        if (event.type === "stored") for (const name of event.sequenceHashes) held.add(name);
        else if (event.type === "removed") for (const name of event.sequenceHashes) held.delete(name);
        else held.clear();
      }
    },
    blocks: (worker) => [...(all.get(worker) ?? [])].sort().join(),
  };
}

/** What `kvEvents` does over any event plane. */
export function kvFeedBehaviour(fixture: { discovery: () => Discovery; events: () => EventPlane }): void {
  const make = () =>
    createRuntime({
      discovery: fixture.discovery(),
      events: fixture.events(),
      deadlines: { registrationHeartbeatMs: 100, registrationTtlMs: 1_000 },
    });

  test("an index without a session converges: a snapshot first, then what follows, and nothing once the worker left", async () => {
    await using workers = await make();
    await using watcher = await make();
    const { engine, store, remove } = blockEngine();
    const served = await workers.serveEngine(engine, { role: "both", id: "w" });
    store(1n, 2n, 3n);
    const index = indexOf();
    watcher.kvEvents((batch) => index.add(batch));
    await expect.poll(() => index.blocks("w")).toBe("1,2,3");
    remove(2n);
    store(4n);
    await expect.poll(() => index.blocks("w")).toBe("1,3,4");
    await served.close();
    await expect.poll(() => index.blocks("w")).toBe("");
  });
}

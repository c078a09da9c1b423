import { defineEngine, wrapEngine, type Engine, type EngineStatus, type KvEventBatch } from "@stator/core";
import { createRuntime, memoryDiscovery, memoryEvents, type EventPlane } from "@stator/runtime";
import { createSelector } from "@stator/router";
import { until } from "@stator/testing";
import type { Row } from "../../row.ts";
import { pause } from "../../pause.ts";

const atOnce = 100;
const batchesEach = 60;

export const row17: Row = {
  row: 17,
  title:
    "KV events lost (5 %), shuffled (window 16) and repeated (10 %): every index ends equal, without a resync loop",
  engines: ["simulated"],
  most: { recoveryMs: 2_000 },
  zero: ["resyncsAfterwards"],
  async run({ random, profile }) {
    const seeds = profile.name === "test" ? atOnce : 10 * atOnce;
    const slowest: number[] = [];
    let hurt = 0;
    let mismatched = 0;
    let resyncsAfterwards = 0;
    for (let round = 0; round * atOnce < seeds; round++) {
      const discovery = memoryDiscovery();
      const plane = faultyPlane(random, () => (hurt += 1));
      await using workers = await createRuntime({ discovery, events: plane });
      await using watcher = await createRuntime({ discovery, events: plane });
      const selector = createSelector();
      const all = await Promise.all(
        Array.from({ length: atOnce }, async (_, i) => {
          const source = blockEngine(random);
          const { worker } = await workers.serveEngine(source.engine, { role: "both", id: `w${i}` });
          selector.addWorker(worker, source.engine.card!);
          return { ...source, id: worker.id };
        }),
      );
      let snapshots = 0;
      const stop = watcher.kvEvents((batch) => {
        if (batch.isSnapshot === true) snapshots += 1;
        selector.observe(batch);
      });
      for (let i = 0; i < batchesEach; i++) {
        for (const { say } of all) say();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const quietMs = performance.now();
      const differing = (): number =>
        all.filter(({ id, blocks }) => !isEqual(selector.dump(id), blocks)).length;
      await until("all indexes are equal", () => differing() === 0, 2_000).catch(() => undefined);
      slowest.push(performance.now() - quietMs);
      mismatched += differing();
      const then = snapshots;
      // Two more comparisons of sequence numbers.
      await pause(2_100);
      resyncsAfterwards += snapshots - then;
      stop();
    }
    return {
      faults: seeds,
      confirmed: hurt > 0 ? seeds : 0,
      requests: seeds * batchesEach,
      lost: 0,
      duplicated: 0,
      mismatched,
      recoveryMs: Math.round(Math.max(...slowest)),
      recomputedTokens: 0,
      more: { messagesHurt: hurt, resyncsAfterwards },
    };
  },
};

function isEqual(dump: KvEventBatch | undefined, blocks: ReadonlySet<bigint>): boolean {
  const names = new Set<bigint>();
  for (const event of dump?.events ?? [])
    if (event.type === "stored") for (const name of event.sequenceHashes) names.add(name);
  return names.size === blocks.size && [...names].every((name) => blocks.has(name));
}

/** An engine that stores and removes blocks at random. */
function blockEngine(random: () => number): { engine: Engine; blocks: Set<bigint>; say: () => void } {
  const blocks = new Set<bigint>();
  let sequence = 0n;
  let tell: (status: EngineStatus) => void = () => {};
  const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 9 };
  const batchOf = (type: "stored" | "removed", names: readonly bigint[]): KvEventBatch => ({
    worker: "",
    epoch: "",
    sequence,
    events: [{ type, sequenceHashes: BigUint64Array.from(names), tier: "device", rank: 0 }],
  });
  const idle = defineEngine(
    { model: "m", contextTokens: 99, tokenizer: { json: "{}", digest: "d", specialIds: { eos: [0] } } },
    async function* () {
      await Promise.resolve();
      yield { ids: [1] };
    },
  );
  return {
    blocks,
    say() {
      sequence += 1n;
      const isRemoval = blocks.size > 4 && random() < 0.4;
      const held = [...blocks];
      const name = isRemoval
        ? held[Math.floor(random() * held.length)]!
        : BigInt(Math.floor(random() * 2 ** 50)) + 1n;
      if (isRemoval) blocks.delete(name);
      else blocks.add(name);
      tell({
        step: 1,
        stepAgeMs: 0,
        stepExpectedMs: 0,
        load,
        events: [batchOf(isRemoval ? "removed" : "stored", [name])],
      });
    },
    engine: wrapEngine(idle, {
      onStatus(listener) {
        tell = listener;
        return () => {};
      },
      snapshot: () => ({ ...batchOf("stored", [...blocks]), isSnapshot: true }),
    }),
  };
}

/** Loses 5 % of all messages, repeats 10 %, and says them in any order within windows of 16. */
function faultyPlane(random: () => number, onHurt: () => void): EventPlane {
  const inner = memoryEvents();
  return {
    name: "faulty",
    async open(context) {
      const channel = await inner.open(context);
      let window: (() => void)[] = [];
      const flush = (): void => {
        const said = window;
        window = [];
        while (said.length > 0) said.splice(Math.floor(random() * said.length), 1)[0]!();
      };
      return {
        ...channel,
        publish(topic, payload) {
          const copy = new Uint8Array(payload);
          const fate = random();
          if (fate < 0.15) onHurt();
          if (fate < 0.05) return true;
          const say = (): void => void channel.publish(topic, copy);
          window.push(say);
          if (fate < 0.15) window.push(say);
          if (window.length >= 16) flush();
          return true;
        },
      };
    },
  };
}

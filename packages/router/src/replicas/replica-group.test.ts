import {
  createVirtualClock,
  hashSchemeXxh3,
  type KvEvent,
  type VirtualClock,
  type Worker,
  createRequest,
} from "@stator/core";
import { describe, expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { createReplicaGroup, type ReplicaChannel, type ReplicaGroup } from "./replica-group.ts";
import type { ReplicatedSelector } from "./replicated-selector.ts";

interface Bus {
  readonly clock: VirtualClock;
  /** Share of messages that are lost. */
  loss: number;
  join(name: string): { replica: ReplicatedSelector; selector: Selector; group: ReplicaGroup };
}

/** A broker that loses messages and brings each twice, to routers that share their index. */
function createBus(random: () => number = () => 1): Bus {
  const clock = createVirtualClock();
  const listeners = new Set<{ readonly topic: string; readonly hear: (payload: Uint8Array) => void }>();
  const channel: ReplicaChannel = {
    publish(topic, payload) {
      for (const each of [...listeners]) {
        if (each.topic !== topic || random() < bus.loss) continue;
        each.hear(payload);
        each.hear(payload);
      }
      return true;
    },
    subscribe(topic, hear) {
      const entry = { topic, hear };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
  const bus: Bus = {
    clock,
    loss: 0,
    join(name) {
      const selector = createSelector({ clock });
      const group = createReplicaGroup({ channel, router: name, clock });
      return { selector, group, replica: group.join("m/both", selector, { sharesIndex: true }) };
    },
  };
  return bus;
}

const worker = (id: string, epoch: string = "1"): Worker => ({
  id,
  epoch,
  role: "both",
  model: "m",
  capacity: { requests: 9, kvBlocks: 999, queue: 9 },
  ranks: 1,
  labels: {},
});
const card = { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] };
const chain = (seed: number, length: number): BigUint64Array =>
  BigUint64Array.from({ length }, (_, i) =>
    BigInt.asUintN(64, BigInt(seed * 100_003 + i + 1) * 0x9e3779b97f4a7c15n),
  );
const stored = (sequenceHashes: BigUint64Array): KvEvent => ({
  type: "stored",
  sequenceHashes,
  engineKeys: sequenceHashes.map((name) => name ^ 7n),
  tier: "device",
  rank: 0,
});
const depth = (selector: Selector, names: BigUint64Array): number => selector.holdings(names)[0]?.blocks ?? 0;

describe("createReplicaGroup with a shared index", () => {
  test("what one router hears of workers and blocks, all know", () => {
    const bus = createBus();
    const [a, b] = [bus.join("a"), bus.join("b")];
    a.replica.addWorker(worker("w"), card);
    a.replica.observe({ worker: "w", epoch: "1", sequence: 1n, events: [stored(chain(1, 20))] });
    expect(depth(b.selector, chain(1, 30))).toBe(20);
    b.replica.removeWorker("w");
    expect([a.selector.loads(), b.selector.loads()]).toEqual([[], []]);
    // Nobody brings it back.
    bus.clock.advance(5000);
    expect(a.selector.loads()).toEqual([]);
  });

  test("a new router starts warm from a peer's snapshot, of chains longer than a message, open bookings included", () => {
    const bus = createBus();
    const a = bus.join("a");
    a.replica.addWorker(worker("w"), card);
    const long = chain(2, 20_000);
    a.replica.observe({ worker: "w", epoch: "1", sequence: 1n, events: [stored(long)] });
    const promptIds = Uint32Array.from({ length: 64 }, (_, i) => i);
    const decision = a.replica.select(a.replica.prepare(createRequest({ id: "1", model: "m", promptIds })));
    const booking = a.replica.book(decision);
    const late = bus.join("late");
    bus.clock.advance(1100);
    expect(depth(late.selector, long)).toBe(20_000);
    expect(late.replica.foreignBookings).toBe(1);
    expect(late.selector.nextSequence("w")).toBe(2n);
    late.replica.observe({
      worker: "w",
      epoch: "1",
      sequence: 2n,
      events: [
        {
          type: "removed",
          sequenceHashes: long.slice(-5),
          engineKeys: long.slice(-5).map((n) => n ^ 7n),
          tier: "device",
          rank: 0,
        },
      ],
    });
    expect([depth(a.selector, long), depth(late.selector, long)]).toEqual([19_995, 19_995]);
    booking.free();
    expect(late.replica.foreignBookings).toBe(0);
  });

  test.each([1, 2, 3, 4, 5])("routers agree again after losses (seed %i)", (seed) => {
    let state = seed;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const bus = createBus(random);
    const routers = ["a", "b", "c"].map((name) => bus.join(name));
    bus.loss = 0.2;
    for (const id of ["w", "x"]) routers[0]!.replica.addWorker(worker(id), card);
    bus.clock.advance(3000);
    const next = { w: 1n, x: 1n };
    for (let i = 0; i < 60; i++) {
      const id = i % 2 === 0 ? "w" : "x";
      // The engine's own feed goes to one router.
      const at = routers[i % 2]!.replica;
      const batch = { worker: id, epoch: "1", sequence: next[id], events: [stored(chain(i, 10))] };
      const result = at.observe(batch);
      if (result === "applied") next[id] += 1n;
      bus.clock.advance(100);
    }
    bus.loss = 0;
    bus.clock.advance(6000);
    for (let i = 0; i < 60; i++) {
      const depths = routers.map(({ selector }) =>
        selector.holdings(chain(i, 10)).map((each) => each.blocks),
      );
      expect(depths[1], `chain ${i}`).toEqual(depths[0]);
      expect(depths[2], `chain ${i}`).toEqual(depths[0]);
    }
  });

  test("losing a router loses nothing of the others", () => {
    const bus = createBus();
    const [a, b] = [bus.join("a"), bus.join("b")];
    a.replica.addWorker(worker("w"), card);
    a.replica.observe({ worker: "w", epoch: "1", sequence: 1n, events: [stored(chain(1, 8))] });
    a.group.close();
    bus.clock.advance(10_000);
    expect(depth(b.selector, chain(1, 8))).toBe(8);
    expect(b.replica.observe({ worker: "w", epoch: "1", sequence: 2n, events: [] })).toBe("applied");
  });
});

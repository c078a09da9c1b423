import { createRequest, createVirtualClock, hashSchemeXxh3, type VirtualClock } from "@stator/core";
import { describe, expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import {
  createReplicatedSelector,
  type ReplicatedSelector,
  type ReplicaMessage,
} from "./replicated-selector.ts";

/** Routers in front of the same four workers, on a bus that clones what it carries. */
function fleet(count: number): { clock: VirtualClock; routers: ReplicatedSelector[]; cut: Set<number> } {
  const clock = createVirtualClock();
  const routers: ReplicatedSelector[] = [];
  const cut = new Set<number>();
  for (let i = 0; i < count; i++) {
    const selector = createSelector({ clock });
    for (const id of ["a", "b", "c", "d"]) {
      selector.addWorker(
        {
          id,
          epoch: "1",
          role: "both",
          model: "m",
          capacity: { requests: 9, kvBlocks: 999, queue: 9 },
          ranks: 1,
          labels: {},
        },
        { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] },
      );
    }
    const publish = (message: ReplicaMessage): void => {
      if (cut.has(i)) return;
      routers.forEach((router, k) => k !== i && router.receive(structuredClone(message)));
    };
    routers.push(createReplicatedSelector({ selector, router: `r${i}`, publish, clock }));
  }
  return { clock, routers, cut };
}

const request = (seed: number) =>
  createRequest({
    id: "x",
    model: "m",
    promptIds: Uint32Array.from({ length: 800 }, (_, i) => i * 7 + seed * 100_003),
  });
const send = (router: ReplicatedSelector, seed: number) =>
  router.book(router.select(router.prepare(request(seed))));
const active = (router: ReplicatedSelector): number =>
  router.loads().reduce((sum, load) => sum + load.activeRequests, 0);

describe("createReplicatedSelector", () => {
  test("spreads what two routers send as if one had sent it", () => {
    const { routers } = fleet(2);
    const workers = [0, 1, 2, 3].map((i) => send(routers[i % 2]!, i).worker);
    expect(new Set(workers).size).toBe(4);
  });

  test("sends a sibling after its prefix, whichever router saw it first", () => {
    const { routers } = fleet(3);
    const first = send(routers[0]!, 7);
    expect(routers[2]!.select(routers[2]!.prepare(request(7))).chosen).toMatchObject({
      worker: first.worker,
      cachedTokens: 800,
    });
  });

  test("frees at the peers what is freed here", () => {
    const { routers } = fleet(2);
    const booking = send(routers[0]!, 1);
    booking.prefilled({ cachedTokens: 0 });
    booking.progress(100);
    expect(active(routers[1]!)).toBe(1);
    booking.free();
    booking.free();
    expect([active(routers[1]!), routers[1]!.foreignBookings]).toEqual([0, 0]);
  });

  test("forgets a lost router's bookings after its silence, and nothing else", () => {
    const { clock, routers, cut } = fleet(3);
    send(routers[0]!, 1);
    send(routers[1]!, 2);
    cut.add(0);
    clock.advance(2000);
    expect(active(routers[2]!)).toBe(2);
    clock.advance(2000);
    expect([active(routers[2]!), routers[2]!.foreignBookings]).toEqual([1, 1]);
  });

  test("a router that leaves takes its bookings along", () => {
    const { routers } = fleet(2);
    send(routers[0]!, 1);
    routers[0]!.close();
    expect(active(routers[1]!)).toBe(0);
  });
});

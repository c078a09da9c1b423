import { createRequest, hashSchemeXxh3 } from "@stator/core";
import { describe, expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import type { Policy, Selector } from "../selector/selector.ts";
import { taints } from "../selector/exclusions.ts";
import { composePolicy } from "./compose-policy.ts";
import { dynamo04 } from "./dynamo04.ts";
import { kvAware } from "./kv-aware.ts";
import { sessionAffinity } from "./session-affinity.ts";
import { leastLoaded, powerOfTwo, random, roundRobin } from "./simple-policies.ts";
import { softmaxIndex } from "./softmax.ts";

function selectorOf(policy: Policy, ids: readonly string[] = ["a", "b", "c", "d"]): Selector {
  const selector = createSelector({ policy, clock: { now: () => 0 }, filters: [taints()] });
  for (const id of ids) add(selector, id);
  return selector;
}

function add(selector: Selector, id: string, labels: Record<string, string> = {}): void {
  selector.addWorker(
    {
      id,
      epoch: "1",
      role: "both",
      model: "m",
      capacity: { requests: 99, kvBlocks: 9999, queue: 99 },
      ranks: 1,
      labels,
    },
    { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: [] },
  );
}

const ask = (selector: Selector, seed: number, more: object = {}) =>
  selector.prepare(
    createRequest({
      id: "r",
      model: "m",
      promptIds: Uint32Array.from({ length: 160 }, (_, i) => i + seed * 1000),
      ...more,
    }),
  );
const go = (selector: Selector, seed: number, more: object = {}): string =>
  selector.book(selector.select(ask(selector, seed, more))).worker;
const many = (selector: Selector, count: number): string[] =>
  Array.from({ length: count }, (_, i) => go(selector, i));
const counts = (workers: readonly string[]): number[] => {
  const byWorker = new Map<string, number>();
  for (const worker of workers) byWorker.set(worker, (byWorker.get(worker) ?? 0) + 1);
  return [...byWorker.values()].sort((a, b) => a - b);
};

describe("policies", () => {
  test("round-robin takes turns", () => {
    expect(many(selectorOf(roundRobin()), 6)).toEqual(["a", "b", "c", "d", "a", "b"]);
  });

  test("random reaches everyone, the same way for the same seed", () => {
    const first = many(selectorOf(random()), 200);
    expect(counts(first)).toHaveLength(4);
    expect(many(selectorOf(random()), 200)).toEqual(first);
  });

  test.each([
    ["least-loaded", leastLoaded(), 25],
    ["dynamo-0.4", dynamo04(), 25],
    ["kv-aware", kvAware(), 25],
  ])("%s spreads equal strangers evenly", (_, policy, each) => {
    expect(counts(many(selectorOf(policy), 100))).toEqual([each, each, each, each]);
  });

  test("power of two stays near the mean", () => {
    const spread = counts(many(selectorOf(powerOfTwo()), 400));
    expect(spread[3]! - spread[0]!).toBeLessThan(20);
  });

  test("a session stays where it is, spills when its target is full, and moves least when a worker joins", () => {
    const selector = selectorOf(sessionAffinity({ loadFactor: 2 }));
    const where = (session: number): string =>
      selector.select(ask(selector, session, { hints: { sessionId: `s${session}` } })).chosen!.worker;
    const before = Array.from({ length: 200 }, (_, i) => where(i));
    expect(Array.from({ length: 200 }, (_, i) => where(i))).toEqual(before);
    expect(counts(before)[0]).toBeGreaterThan(25);
    add(selector, "e");
    const moved = before.filter((worker, i) => where(i) !== worker);
    expect(moved.length).toBeLessThan(80);
    const busy = Array.from({ length: 30 }, () => go(selector, 1, { hints: { sessionId: "s1" } }));
    expect(new Set(busy).size).toBeGreaterThan(1);
  });

  test("softmax: temperature 0 is the lowest, high ones are nearly indifferent, equal costs uniform", () => {
    expect(softmaxIndex([3, 1, 2], 0, 0.9)).toBe(1);
    const drawn = (temperature: number, costs: readonly number[]): number[] => {
      const hits = costs.map(() => 0);
      for (let i = 0; i < 1000; i++) hits[softmaxIndex(costs, temperature, (i + 0.5) / 1000)]!++;
      return hits;
    };
    const [low, high] = [drawn(0.2, [1, 2, 3]), drawn(100, [1, 2, 3])];
    expect(low[0]).toBeGreaterThan(900);
    for (const hits of [...high, ...drawn(0.5, [7, 7, 7])]) expect(Math.abs(hits - 333)).toBeLessThan(10);
  });

  test("dynamo-0.4 weighs prefill blocks against decode blocks", () => {
    const choose = (overlapWeight: number): string => {
      const selector = selectorOf(dynamo04({ overlapWeight }), ["busy", "idle"]);
      const request = ask(selector, 1);
      selector.observe({
        worker: "busy",
        epoch: "1",
        sequence: 1n,
        events: [{ type: "stored", sequenceHashes: request.names, tier: "device", rank: 0 }],
      });
      for (let i = 0; i < 3; i++)
        selector
          .book(selector.select({ ...ask(selector, 50 + i), hints: { pin: { worker: "busy" } } }))
          .prefilled();
      return selector.select(request).chosen!.worker;
    };
    expect([choose(1), choose(8)]).toEqual(["idle", "busy"]);
  });

  test("seams compose: filter, score, pick, and a name for explanations", () => {
    const policy = composePolicy({
      name: "evenFirst",
      filter: (candidate) => (candidate.worker === "a" ? "odd" : undefined),
      score: (candidate) => (candidate.worker === "c" ? 1 : 2),
      pick: (costs) => costs.indexOf(Math.max(...costs)),
    });
    expect(selectorOf(policy).select(ask(selectorOf(policy), 1))).toMatchObject({
      chosen: { worker: "b" },
      policy: "evenFirst",
    });
  });

  test("tainted workers take only those who ask for them", () => {
    const selector = selectorOf(kvAware(), []);
    add(selector, "kept", { "taint:batch": "yes" });
    expect(selector.select(ask(selector, 1)).reason).toContain("not tolerated: taint:batch");
    expect(go(selector, 1, { hints: { requireLabels: { "taint:batch": "yes" } } })).toBe("kept");
  });
});

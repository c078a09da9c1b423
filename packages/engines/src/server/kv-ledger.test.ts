import { createVirtualClock, type Handoff } from "@stator/core";
import { expect, test } from "vitest";
import { createKvLedger, type KvLedger } from "./kv-ledger.ts";

const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 40, kvBlocksTotal: 100 };
const handoff = (name: string, heldTokens = 33, rank = 0): Handoff => ({
  connector: "c",
  style: "sequential",
  opaque: new TextEncoder().encode(name),
  source: { worker: "w", epoch: "e", rank },
  heldTokens,
  firstIds: [],
  firstEmittedBy: "nobody",
  compatibilityDigest: "k",
});
function setUp(holdMs = 480_000) {
  const clock = createVirtualClock();
  const ledger: KvLedger = createKvLedger({ clock, holdMs, blockTokens: 16 });
  return { clock, ledger };
}

test("what decode took is no leak, and what it never took is one until the server gives it up", async () => {
  const { clock, ledger } = setUp();
  for (const name of ["a", "b"]) ledger.offered(handoff(name));
  expect(ledger.withLeaks(load)).toEqual(load);
  ledger.settled(handoff("a"), "taken");
  ledger.settled(handoff("b"), "abandoned");
  expect(ledger.withLeaks(load)).toEqual({ ...load, kvBlocksLeaked: 3 });
  await clock.pass(479_000);
  expect(ledger.leakedBlocks).toBe(3);
  await clock.pass(1_001);
  expect(ledger.withLeaks(load)).toEqual(load);
});

test("counts each handoff once, by its first outcome, and none that was not offered here", () => {
  const { ledger } = setUp();
  ledger.offered(handoff("a"));
  ledger.settled(handoff("a"), "abandoned");
  ledger.settled(handoff("a"), "abandoned");
  ledger.settled(handoff("stranger"), "abandoned");
  expect(ledger.leakedBlocks).toBe(3);
});

test("counts KV whose router died: nobody ever says what became of it", async () => {
  const { clock, ledger } = setUp();
  ledger.offered(handoff("a"));
  await clock.pass(59_000);
  expect(ledger.leakedBlocks).toBe(0);
  await clock.pass(1_001);
  expect(ledger.leakedBlocks).toBe(3);
});

test("believes the server where it uses less than what leaked, once it was asked after that", async () => {
  const { clock, ledger } = setUp();
  for (const name of ["a", "b", "c"]) {
    ledger.offered(handoff(name));
    ledger.settled(handoff(name), "abandoned");
    await clock.pass(10);
  }
  ledger.observed({ ...load, kvBlocksUsed: 0 }, -1);
  expect(ledger.leakedBlocks).toBe(9);
  ledger.observed({ ...load, kvBlocksUsed: 4 }, clock.now());
  expect(ledger.leakedBlocks).toBe(3);
  ledger.lost();
  expect(ledger.leakedBlocks).toBe(0);
});

test("accounts to the rank that holds it", () => {
  const { ledger } = setUp();
  ledger.offered(handoff("a", 16, 1));
  ledger.settled(handoff("a", 16, 1), "abandoned");
  const ranks = [load, { ...load, kvBlocksUsed: 0 }];
  expect(ledger.withLeaks({ ...load, ranks }).ranks).toEqual([
    load,
    { ...load, kvBlocksUsed: 1, kvBlocksLeaked: 1 },
  ]);
});

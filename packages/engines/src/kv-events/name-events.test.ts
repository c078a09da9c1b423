import { nameBlocks, type KvEvent } from "@stator/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { EngineEvent, EngineStored } from "./engine-event.ts";
import { createEventNamer } from "./name-events.ts";

const blockTokens = 4;
const tokens = (count: number, seed = 1): number[] => Array.from({ length: count }, (_, i) => i * seed + 5);
const stored = (over: Partial<EngineStored> = {}): EngineStored => ({
  type: "stored",
  keys: [1n],
  parent: undefined,
  tokenIds: tokens(4),
  blockTokens,
  adapter: undefined,
  salt: undefined,
  isUnnameable: false,
  tier: "device",
  group: 0,
  groupKind: undefined,
  ...over,
});
const namesOf = (events: readonly KvEvent[]): bigint[] =>
  events.flatMap((event) => (event.type === "cleared" ? [] : [...event.sequenceHashes]));

test("blocks of several events make one chain of our names, whatever the engine's keys", () => {
  const namer = createEventNamer({ blockTokens });
  const ids = tokens(12);
  const events = namer.apply(0, [
    stored({ keys: [7n, 9n], tokenIds: ids.slice(0, 8) }),
    stored({ keys: [3n], parent: 9n, tokenIds: ids.slice(8) }),
  ]);
  const names = nameBlocks(ids, { blockTokens });
  expect(namesOf(events)).toEqual([...names]);
  expect(events[1]).toMatchObject({ parent: names[1] });
  expect(namesOf(namer.apply(0, [{ type: "removed", keys: [3n, 99n], tier: "device", group: 0 }]))).toEqual([
    names[2],
  ]);
  expect(namer.blocks).toBe(2);
});

test("adapter and salt go on along the chain", () => {
  const namer = createEventNamer({ blockTokens });
  const events = namer.apply(0, [
    stored({ adapter: "sql", salt: "tenant" }),
    stored({ keys: [2n], parent: 1n, tokenIds: tokens(4, 3) }),
  ]);
  const all = [...tokens(4), ...tokens(4, 3)];
  expect(namesOf(events)).toEqual([...nameBlocks(all, { blockTokens, adapter: "sql", salt: "tenant" })]);
});

test("what cannot be named is left out with its children, and the reason is told once", () => {
  const reasons: string[] = [];
  const namer = createEventNamer({ blockTokens, onSkipped: (reason) => reasons.push(reason) });
  const orphan = stored({ keys: [5n], parent: 4n });
  expect(namer.apply(0, [orphan, orphan])).toEqual([]);
  expect(namer.apply(0, [stored({ isUnnameable: true }), stored({ keys: [2n], parent: 1n })])).toEqual([]);
  expect(namer.apply(0, [stored({ blockTokens: 16, tokenIds: tokens(16) })])).toEqual([]);
  expect(reasons).toHaveLength(3);
});

test("only the full-attention group proves a prefix", () => {
  const namer = createEventNamer({ blockTokens });
  const events = namer.apply(0, [
    stored({ group: 0, groupKind: "sliding_window" }),
    stored({ keys: [2n], group: 1, groupKind: "full_attention" }),
    { type: "removed", keys: [2n], tier: "device", group: 0 },
  ]);
  expect(events.map(({ type }) => type)).toEqual(["stored"]);
});

test("a block stays until it has left every tier; moving changes the tier", () => {
  const namer = createEventNamer({ blockTokens });
  namer.apply(0, [stored(), stored({ tier: "host" })]);
  namer.apply(0, [{ type: "removed", keys: [1n], tier: "device", group: 0 }]);
  expect(namer.snapshot()).toMatchObject([{ tier: "host" }]);
  const moved = namer.apply(0, [{ type: "moved", key: 1n, from: "host", to: "device" }]);
  expect(moved.map(({ type }) => type)).toEqual(["stored", "removed"]);
  expect(namer.snapshot()).toMatchObject([{ tier: "device" }]);
});

test("a snapshot says what the events said, in any history", () => {
  const chain = (seed: number): EngineEvent[] =>
    [0, 1, 2].map((i) =>
      stored({
        keys: [BigInt(seed * 10 + i)],
        parent: i === 0 ? undefined : BigInt(seed * 10 + i - 1),
        tokenIds: tokens(4, seed * 7 + i),
      }),
    );
  const action = fc.oneof(
    fc.integer({ min: 1, max: 5 }).map((seed) => chain(seed)),
    fc
      .integer({ min: 10, max: 52 })
      .map((key): EngineEvent[] => [{ type: "removed", keys: [BigInt(key)], tier: "device", group: 0 }]),
    fc.constant<EngineEvent[]>([{ type: "cleared" }]),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), action), { maxLength: 40 }), (steps) => {
      const namer = createEventNamer({ blockTokens });
      const held = new Set<string>();
      const apply = (into: Set<string>, events: readonly KvEvent[]): void => {
        for (const event of events) {
          if (event.type === "cleared") {
            for (const entry of [...into]) if (entry.startsWith(`${event.rank}:`)) into.delete(entry);
          } else
            for (const name of event.sequenceHashes) {
              if (event.type === "stored") into.add(`${event.rank}:${name}`);
              else into.delete(`${event.rank}:${name}`);
            }
        }
      };
      for (const [rank, events] of steps) apply(held, namer.apply(rank, events));
      const shown = new Set<string>();
      apply(shown, namer.snapshot());
      expect(shown).toEqual(held);
    }),
  );
});

import type { KvEvent, KvEventBatch } from "@stator/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEventRing } from "./event-ring.ts";

const own = { worker: "w", epoch: "e" };
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const names = (length: number): fc.Arbitrary<BigUint64Array> =>
  fc.array(u64, { minLength: length, maxLength: length }).map((all) => BigUint64Array.from(all));
const optional = <T>(key: string, value: fc.Arbitrary<T>): fc.Arbitrary<object> =>
  fc.option(
    value.map((one) => ({ [key]: one })),
    { nil: {} },
  );
const event: fc.Arbitrary<KvEvent> = fc.oneof(
  fc.record({ type: fc.constant("cleared" as const), rank: fc.nat(64) }),
  fc.nat(40).chain((length) =>
    fc
      .tuple(
        fc.constantFrom("stored", "removed"),
        names(length),
        fc.constantFrom("device", "host", "disk", "shared"),
        fc.nat(64),
        optional("engineKeys", names(length)),
        optional("group", fc.nat(8)),
        optional("parent", u64),
        optional("engineParent", u64),
      )
      .map(
        ([type, sequenceHashes, tier, rank, keys, group, parent, engineParent]) =>
          ({
            type,
            sequenceHashes,
            tier,
            rank,
            ...keys,
            ...group,
            ...(type === "stored" ? { ...parent, ...engineParent } : {}),
          }) as KvEvent,
      ),
  ),
);

describe("the ring of KV events", () => {
  it("gives all batches after any sequence number as they were added, or says that some are gone", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(event, { maxLength: 5 }), { maxLength: 60 }),
        fc.nat(8_192),
        (all, bytes) => {
          const ring = createEventRing(own, bytes);
          const batches = all.map((events, i): KvEventBatch => ({
            ...own,
            sequence: BigInt(i + 1),
            events,
            ...(i % 7 === 3 ? { isSnapshot: true } : {}),
          }));
          for (const batch of batches) ring.add(batch);
          expect(ring.lastSequence).toBe(BigInt(batches.length));
          for (let from = 0; from <= batches.length; from++) {
            const after = ring.after(BigInt(from));
            if (after !== undefined) expect(after).toEqual(batches.slice(from));
          }
          if (batches.length > 0) expect(ring.after(BigInt(batches.length - 1))).toEqual(batches.slice(-1));
        },
      ),
    );
  });

  it("keeps the latest within its bound, whatever the size of the batches", () => {
    const ring = createEventRing(own, 256 * 1024);
    const add = (sequence: number, blocks: number): void =>
      ring.add({
        ...own,
        sequence: BigInt(sequence),
        events: [
          { type: "stored", sequenceHashes: new BigUint64Array(blocks).fill(7n), tier: "device", rank: 0 },
        ],
      });
    for (let i = 1; i <= 50_000; i++) add(i, 1);
    expect(ring.after(0n)).toBeUndefined();
    expect(ring.after(49_000n)).toHaveLength(1_000);
    // 40 bytes each: 6,553 in 256 KiB, and up to a slab more or less.
    expect(ring.after(BigInt(50_000 - 4_000))).toHaveLength(4_000);
    expect(ring.after(BigInt(50_000 - 9_000))).toBeUndefined();
    add(50_001, 100_000);
    expect(ring.after(50_000n)![0]!.events[0]).toMatchObject({ sequenceHashes: { length: 100_000 } });
    add(50_002, 1);
    expect(ring.after(50_001n)).toHaveLength(1);
  });
});

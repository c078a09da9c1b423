import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, describePacked } from "../../agent/descriptors.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { accessOf } from "../region-access.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { isSame, pairEnds, processEnds, rejectsWith, whole } from "./ends.ts";

/** Data arrives, wherever and however it is described. */
export const movingCases: readonly ConformanceCase[] = [
  {
    name: "reads and writes whole regions of odd sizes",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      for (const bytes of [1, 7, 4096, 65_537, 3_000_001]) {
        const { there, remote } = await allocate(bytes);
        await fillPattern(there, 3);
        const here = await initiator.allocate({ bytes });
        const ask = { peer, local: describe(here, whole(bytes)), remote: describe(remote, whole(bytes)) };
        const stats = await initiator.transfer({ ...ask, operation: "read" });
        assert.equal(stats.bytes, bytes);
        assert.ok(isSame(here.read(0, bytes), patternBytes(3, 0, bytes)), `read of ${bytes}`);
        await fillPattern(here, 9);
        await initiator.transfer({ ...ask, operation: "write" });
        assert.ok(isSame(await there.read(0, bytes), patternBytes(9, 0, bytes)), `write of ${bytes}`);
      }
    },
  },
  {
    name: "uses the caller's own buffers as the local side",
    async run(context) {
      const { initiator, peer, remote } = await pairEnds(context, { bytes: 50_000, fill: 1 });
      const buffers = [new Uint8Array(20_000), new Uint8Array(29_999), new Uint8Array(1)];
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(initiator.register(buffers), whole(50_000)),
        remote: describe(remote, whole(50_000)),
      });
      assert.ok(isSame(Buffer.concat(buffers), patternBytes(1, 0, 50_000)));
    },
  },
  {
    name: "gathers strided pieces and scatters them with another stride, unaligned",
    async run(context) {
      const { initiator, peer, remote } = await pairEnds(context, { bytes: 100_003, fill: 5 });
      const here = initiator.register(new Uint8Array(70_000));
      const stats = await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, [{ offset: 13, bytes: 333, stride: 650, count: 100 }]),
        remote: describe(remote, [{ offset: 3, bytes: 333, stride: 1000, count: 100 }]),
      });
      for (let k = 0; k < 100; k += 1)
        assert.ok(isSame(here.read(13 + k * 650, 333), patternBytes(5, 3 + k * 1000, 333)), `piece ${k}`);
      assert.equal(stats.pieces, 100);
    },
  },
  {
    name: "merges pieces that touch on both sides",
    async run(context) {
      const bytes = 64 * 1024;
      const { initiator, peer, remote, here, there } = await pairEnds(context, { bytes, fill: 5 });
      const pieces = Array.from({ length: 64 }, (_, i) => ({ offset: i * 1024, bytes: 1024 }));
      const stats = await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, pieces),
        remote: describe(remote, pieces),
      });
      assert.equal(stats.pieces, 1);
      assert.ok(isSame(here.read(0, bytes), await there.read(0, bytes)));
    },
  },
  {
    name: "moves 10,000 scattered, reversed and repeated pieces",
    async run(context) {
      const piece = 512;
      const count = 10_000;
      const ends = await pairEnds(context, { bytes: piece * count, fill: 7 });
      const { initiator, peer, remote, here, there } = ends;
      const from = Float64Array.from({ length: count }, (_, i) => ((i * 7919) % count) * piece);
      const to = Float64Array.from({ length: count }, (_, i) => (count - 1 - i) * piece);
      from[5] = from[6] as number;
      await initiator.transfer({
        operation: "read",
        peer,
        local: describePacked(here, to, piece),
        remote: describePacked(remote, from, piece),
      });
      const source = await there.read(0, piece * count);
      for (let i = 0; i < count; i += 1) {
        const at = from[i] as number;
        assert.ok(isSame(here.read(to[i] as number, piece), source.subarray(at, at + piece)), `piece ${i}`);
      }
    },
  },
  {
    name: "moves 100,000 scattered pieces",
    async run(context) {
      const pieces = 100_000;
      const ends = await pairEnds(context, { bytes: pieces * 16, fill: 5 });
      const { initiator, peer, remote, here } = ends;
      const at = Float64Array.from({ length: pieces }, (_, i) => ((i * 7919) % pieces) * 16);
      await initiator.transfer({
        operation: "read",
        peer,
        local: describePacked(here, at, 16),
        remote: describePacked(remote, at, 16),
        deadlineMs: 60_000,
      });
      assert.ok(isSame(ends.buffer, patternBytes(5, 0, pieces * 16)));
    },
  },
  {
    name: "picks pieces of prepared lists by index",
    async run(context) {
      const { initiator, peer, remote, here } = await pairEnds(context, { bytes: 100 * 100, fill: 2 });
      const grid = { offset: 0, bytes: 100, stride: 100, count: 100 };
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, [grid]),
        remote: describe(remote, [grid]),
        localIndex: Uint32Array.of(9, 8, 0),
        remoteIndex: Uint32Array.of(4, 99, 5),
      });
      assert.ok(isSame(here.read(900, 100), patternBytes(2, 400, 100)));
      assert.ok(isSame(here.read(800, 100), patternBytes(2, 9900, 100)));
      assert.ok(isSame(here.read(0, 100), patternBytes(2, 500, 100)));
    },
  },
  {
    name: "overlapping registrations and parts of a buffer are regions of their own",
    async run(context) {
      const { initiator, peer, remote } = await pairEnds(context, { bytes: 4096, fill: 9 });
      const buffer = new Uint8Array(8192);
      const all = initiator.register(buffer);
      const part = initiator.register(buffer.subarray(100, 4196));
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(part, whole(4096)),
        remote: describe(remote, whole(4096)),
      });
      assert.ok(isSame(all.read(100, 4096), patternBytes(9, 0, 4096)));
      assert.throws(
        () => describe(part, [{ offset: 1, bytes: 4096 }]),
        rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
      );
      await part.deregister();
      assert.equal(all.isAlive, true);
    },
  },
  {
    name: "addresses what lies beyond 4 GiB",
    async run({ fixture, pair }) {
      const { initiator, target, peer } = await pair();
      // Never touched but at its ends: it takes addresses, not memory.
      const half = 2.5e9;
      const big =
        fixture.isSparse === true
          ? await target.allocate({ bytes: 2 * half, memory: fixture.memory ?? "host" })
          : target.register([new Uint8Array(half), new Uint8Array(half)]);
      initiator.importMetadata(target.exportMetadata({ regions: [big] }));
      const remote = peer.region(big.id);
      const offsets = Float64Array.of(half - 30, 2 ** 32 - 30, 2 * half - 60);
      const here = initiator.register(patternBytes(7, 0, 180));
      // Memory that a transport can't carry where it was registered, and would have to make: 5 GB of it are another test's.
      if (initiator.explain(peer, here, remote).chosen === undefined) return;
      const ask = {
        peer,
        local: describePacked(here, Float64Array.of(0, 60, 120), 60),
        remote: describePacked(remote, offsets, 60),
      };
      await initiator.transfer({ ...ask, operation: "write" });
      const access = accessOf(target, big);
      for (const [i, offset] of offsets.entries())
        assert.ok(isSame(await access.read(offset, 60), patternBytes(7, i * 60, 60)));
      here.write(0, new Uint8Array(180));
      await initiator.transfer({ ...ask, operation: "read" });
      assert.ok(isSame(here.read(0, 180), patternBytes(7, 0, 180)));
    },
  },
  {
    name: "an agent transfers to itself",
    async run({ agent, memory }) {
      const alone = await agent();
      const from = await alone.allocate({ bytes: 10_000, memory });
      await fillPattern(accessOf(alone, from), 4);
      const to = alone.register(new Uint8Array(10_000));
      const self = alone.importMetadata(alone.exportMetadata({ regions: [from] }));
      await alone.transfer({
        operation: "read",
        peer: self,
        local: describe(to, whole(10_000)),
        remote: describe(self.region(from.id), whole(10_000)),
      });
      assert.ok(isSame(to.read(0, 10_000), patternBytes(4, 0, 10_000)));
    },
  },
];

export const movingTwoProcessCases: readonly ConformanceCase[] = [
  {
    name: "two processes: reads, writes and notifies",
    async run(context) {
      const bytes = 5_000_001;
      const ends = await processEnds(context, { bytes, fill: 2 });
      const { initiator, child, remote } = ends;
      await ends.readsPattern(2);
      ends.here.write(0, patternBytes(77, 0, bytes));
      const seen = child.call({ do: "expect", peer: initiator.name, tag: "written", count: 1 });
      await initiator.transfer({ ...ends.ask("write"), notify: { tag: "written" } });
      await seen;
      assert.equal(
        await child.call({ do: "digest", region: remote.id }),
        createHash("sha256")
          .update(patternBytes(77, 0, bytes))
          .digest("hex"),
      );
    },
  },
];

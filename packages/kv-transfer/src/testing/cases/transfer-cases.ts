import assert from "node:assert/strict";
import { describe, describePacked, type Descriptors } from "../../agent/descriptors.ts";
import type { RemoteRegion } from "../../agent/transfer-agent.ts";
import { collectGarbage } from "../collect-garbage.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { accessOf } from "../region-access.ts";
import type { ConformanceCase } from "../transport-suite.ts";

const whole = (bytes: number) => [{ offset: 0, bytes }];
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
export const rejectsWith =
  (code: string) =>
  (error: unknown): boolean => {
    assert.equal((error as { code?: string }).code, code, String(error));
    return true;
  };

/** Data arrives, wherever and however it is described. */
export const transferCases: readonly ConformanceCase[] = [
  {
    name: "reads and writes whole regions of odd sizes",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      for (const bytes of [1, 7, 4096, 65_537, 3_000_001]) {
        const { there, remote } = await allocate(bytes);
        await fillPattern(there, 3);
        const here = await initiator.allocate({ bytes });
        const stats = await initiator.transfer({
          operation: "read",
          peer,
          local: describe(here, whole(bytes)),
          remote: describe(remote, whole(bytes)),
        });
        assert.equal(stats.bytes, bytes);
        assert.ok(same(here.read(0, bytes), patternBytes(3, 0, bytes)), `read of ${bytes}`);
        await fillPattern(here, 9);
        await initiator.transfer({
          operation: "write",
          peer,
          local: describe(here, whole(bytes)),
          remote: describe(remote, whole(bytes)),
        });
        assert.ok(same(await there.read(0, bytes), patternBytes(9, 0, bytes)), `write of ${bytes}`);
      }
    },
  },
  {
    name: "uses the caller's own buffers as the local side",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(50_000);
      await fillPattern(there, 1);
      const buffers = [new Uint8Array(20_000), new Uint8Array(29_999), new Uint8Array(1)];
      const here = initiator.register(buffers);
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, whole(50_000)),
        remote: describe(remote, whole(50_000)),
      });
      assert.ok(same(Buffer.concat(buffers), patternBytes(1, 0, 50_000)));
    },
  },
  {
    name: "gathers strided pieces and scatters them with another stride, unaligned",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(100_003);
      await fillPattern(there, 5);
      const here = initiator.register(new Uint8Array(70_000));
      const transfer = initiator.createTransfer({
        operation: "read",
        peer,
        local: describe(here, [{ offset: 13, bytes: 333, stride: 650, count: 100 }]),
        remote: describe(remote, [{ offset: 3, bytes: 333, stride: 1000, count: 100 }]),
      });
      transfer.post();
      await transfer.completion;
      for (let k = 0; k < 100; k += 1)
        assert.ok(same(here.read(13 + k * 650, 333), patternBytes(5, 3 + k * 1000, 333)), `piece ${k}`);
      assert.equal(transfer.stats.pieces, 100);
      await transfer.release();
    },
  },
  {
    name: "merges pieces that touch on both sides",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(64 * 1024);
      await fillPattern(there, 5);
      const here = initiator.register(new Uint8Array(64 * 1024));
      const pieces = Array.from({ length: 64 }, (_, i) => ({ offset: i * 1024, bytes: 1024 }));
      const transfer = initiator.createTransfer({
        operation: "read",
        peer,
        local: describe(here, pieces),
        remote: describe(remote, pieces),
      });
      transfer.post();
      const stats = await transfer.completion;
      assert.equal(stats.pieces, 1);
      assert.ok(same(here.read(0, 64 * 1024), await there.read(0, 64 * 1024)));
    },
  },
  {
    name: "moves 10,000 scattered, reversed and repeated pieces",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const piece = 512;
      const count = 10_000;
      const { there, remote } = await allocate(piece * count);
      await fillPattern(there, 7);
      const here = initiator.register(new Uint8Array(piece * count));
      const from = new Float64Array(count);
      const to = new Float64Array(count);
      for (let i = 0; i < count; i += 1) {
        from[i] = ((i * 7919) % count) * piece;
        to[i] = (count - 1 - i) * piece;
      }
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
        assert.ok(same(here.read(to[i] as number, piece), source.subarray(at, at + piece)), `piece ${i}`);
      }
    },
  },
  {
    name: "picks pieces of prepared lists by index",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(100 * 100);
      await fillPattern(there, 2);
      const here = initiator.register(new Uint8Array(100 * 100));
      const grid = { offset: 0, bytes: 100, stride: 100, count: 100 };
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, [grid]),
        remote: describe(remote, [grid]),
        localIndex: Uint32Array.of(9, 8, 0),
        remoteIndex: Uint32Array.of(4, 99, 5),
      });
      assert.ok(same(here.read(900, 100), patternBytes(2, 400, 100)));
      assert.ok(same(here.read(800, 100), patternBytes(2, 9900, 100)));
      assert.ok(same(here.read(0, 100), patternBytes(2, 500, 100)));
    },
  },
  {
    name: "can be posted again up to 10,000 times, and nothing grows",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(256);
      const here = initiator.register(new Uint8Array(256));
      const transfer = initiator.createTransfer({
        operation: "read",
        peer,
        local: describe(here, whole(256)),
        remote: describe(remote, whole(256)),
      });
      let seed = 0;
      const post = async (times: number, limitMs: number): Promise<void> => {
        const until = performance.now() + limitMs;
        for (let i = 0; i < times && performance.now() < until; i += 1) {
          if (i % 250 === 0) await fillPattern(there, (seed += 1));
          transfer.post();
          await transfer.completion;
        }
      };
      const heap = (): number => {
        collectGarbage();
        return process.memoryUsage().heapUsed;
      };
      await post(1000, 500);
      const before = heap();
      await post(9000, 700);
      assert.ok(heap() - before < 4e6, `the heap grew from ${before} to ${heap()} bytes`);
      assert.ok(same(here.read(0, 256), patternBytes(seed, 0, 256)));
      await transfer.release();
      assert.throws(() => transfer.post(), rejectsWith("TRANSFER_RELEASED"));
    },
  },
  {
    name: "refuses bad descriptors before anything moves",
    async run({ pair }) {
      const { initiator, target, peer, allocate } = await pair();
      const { remote } = await allocate(1000);
      const here = initiator.register(new Uint8Array(1000));
      const bad: readonly (readonly [number, number])[] = [
        [0, 0],
        [1, 1000],
        [1000, 1],
        [-1, 1],
        [0, 1001],
        [2 ** 53, 1],
        [Number.NaN, 1],
        [0.5, 1],
        [2 ** 63, 2 ** 63],
      ];
      for (const [offset, bytes] of bad)
        assert.throws(
          () => describe(here, [{ offset, bytes }]),
          rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
          `${offset}+${bytes}`,
        );
      assert.throws(
        () => describe(here, [{ offset: 0, bytes: 10, stride: 100, count: 11 }]),
        rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
      );
      assert.throws(() => describe(here, []), rejectsWith("TRANSFER_OPTION_INVALID"));
      const ten = describe(remote, whole(10));
      assert.throws(
        () =>
          initiator.createTransfer({
            operation: "read",
            peer,
            local: describe(here, whole(11)),
            remote: ten,
          }),
        rejectsWith("TRANSFER_LENGTH_MISMATCH"),
      );
      assert.throws(
        () =>
          initiator.createTransfer({
            operation: "read",
            peer,
            local: describe(here, [...whole(10), ...whole(10)]),
            remote: ten,
          }),
        rejectsWith("TRANSFER_LENGTH_MISMATCH"),
      );
      assert.throws(
        () =>
          initiator.createTransfer({
            operation: "read",
            peer,
            local: describe(here, whole(10)),
            remote: ten,
            localIndex: Uint32Array.of(1),
          }),
        rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
      );
      const foreign = target.register(new Uint8Array(10));
      assert.throws(
        () =>
          initiator.createTransfer({
            operation: "read",
            peer,
            local: describe(foreign, whole(10)),
            remote: ten,
          }),
        rejectsWith("TRANSFER_WRONG_OWNER"),
      );
      assert.throws(
        () =>
          initiator.createTransfer({
            operation: "read",
            peer,
            local: describe(here, whole(10)),
            remote: describe(here, whole(10)),
          }),
        rejectsWith("TRANSFER_WRONG_OWNER"),
      );
    },
  },
  {
    name: "refuses an access that passed the initiator's checks but not the target's bounds",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(4096);
      await fillPattern(there, 1);
      const here = initiator.register(new Uint8Array(8192));
      const forge = (offset: number, bytes: number): Descriptors => ({
        ...describe(remote, whole(bytes)),
        offset: Float64Array.of(offset),
      });
      for (const [offset, bytes] of [
        [1, 4096],
        [4096, 1],
        [-1, 16],
        [2 ** 52, 16],
      ] as const)
        for (const operation of ["read", "write"] as const)
          await assert.rejects(
            initiator.transfer({
              operation,
              peer,
              local: describe(here, whole(bytes)),
              remote: forge(offset, bytes),
            }),
            rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
            `${operation} ${offset}`,
          );
      assert.ok(same(await there.read(0, 4096), patternBytes(1, 0, 4096)), "the target is untouched");
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, whole(4096)),
        remote: describe(remote, whole(4096)),
      });
      assert.ok(same(here.read(0, 4096), patternBytes(1, 0, 4096)), "and still serves");
    },
  },
  {
    name: "says which way it takes and errors where a better one is required",
    async run({ pair, fixture }) {
      const { initiator, peer, allocate } = await pair();
      const { remote } = await allocate(100);
      const here = initiator.register(new Uint8Array(100));
      const told = initiator.explain(peer, here, remote, 1_000_000);
      assert.equal(told.chosen, fixture.transport().name);
      assert.ok((told.estimatedMicros ?? 0) > 0);
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(100)),
        remote: describe(remote, whole(100)),
      } as const;
      await assert.rejects(
        initiator.transfer({ ...ask, require: { transports: ["rdma"] } }),
        rejectsWith("TRANSFER_PATH_UNAVAILABLE"),
      );
      await assert.rejects(
        initiator.transfer({ ...ask, require: { bytesPerSecond: 1e15 } }),
        rejectsWith("TRANSFER_PATH_UNAVAILABLE"),
      );
      const stats = await initiator.transfer({ ...ask, require: { transports: [fixture.transport().name] } });
      assert.deepEqual(stats.transports, [fixture.transport().name]);
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
      const remote: RemoteRegion = self.region(from.id);
      await alone.transfer({
        operation: "read",
        peer: self,
        local: describe(to, whole(10_000)),
        remote: describe(remote, whole(10_000)),
      });
      assert.ok(same(to.read(0, 10_000), patternBytes(4, 0, 10_000)));
    },
  },
];

import assert from "node:assert/strict";
import { concatDescriptors, describe, type Descriptors } from "../../agent/descriptors.ts";
import { collectGarbage } from "../collect-garbage.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { isSame, pairEnds, rejectsWith, whole } from "./ends.ts";

/** What must not be asked for is refused, and what may be is not. */
export const misuseCases: readonly ConformanceCase[] = [
  {
    name: "refuses bad descriptors before anything moves",
    async run(context) {
      const { initiator, target, remote, here, ask } = await pairEnds(context, { bytes: 1000 });
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
      for (const region of [here, remote])
        for (const [offset, bytes] of bad)
          assert.throws(
            () => describe(region, [{ offset, bytes }]),
            rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
            `${offset}+${bytes}`,
          );
      assert.throws(
        () => describe(here, [{ offset: 0, bytes: 10, stride: 100, count: 11 }]),
        rejectsWith("TRANSFER_OUT_OF_BOUNDS"),
      );
      assert.throws(() => describe(here, []), rejectsWith("TRANSFER_OPTION_INVALID"));
      const refuses = (code: string, change: Partial<ReturnType<typeof ask>>): void =>
        assert.throws(
          () =>
            initiator.createTransfer({
              ...ask("read"),
              local: describe(here, whole(10)),
              remote: describe(remote, whole(10)),
              ...change,
            }),
          rejectsWith(code),
        );
      refuses("TRANSFER_LENGTH_MISMATCH", { local: describe(here, whole(11)) });
      refuses("TRANSFER_LENGTH_MISMATCH", { local: describe(here, [...whole(10), ...whole(10)]) });
      refuses("TRANSFER_OUT_OF_BOUNDS", { localIndex: Uint32Array.of(1) });
      // A negative index is a very large one.
      refuses("TRANSFER_OUT_OF_BOUNDS", { remoteIndex: Uint32Array.of(-1) });
      const foreign = target.register(new Uint8Array(10));
      refuses("TRANSFER_WRONG_OWNER", { local: describe(foreign, whole(10)) });
      refuses("TRANSFER_WRONG_OWNER", { remote: describe(here, whole(10)) });
      if (context.memory === "host") return;
      assert.throws(
        () => concatDescriptors([describe(here, whole(10)), describe(remote, whole(10))]),
        rejectsWith("TRANSFER_OPTION_INVALID"),
        "a list holds one kind of memory",
      );
    },
  },
  {
    name: "refuses an access that passed the initiator's checks but not the target's bounds",
    async run(context) {
      const ends = await pairEnds(context, { bytes: 4096, fill: 1 });
      const { initiator, peer, there, remote } = ends;
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
      assert.ok(isSame(await there.read(0, 4096), patternBytes(1, 0, 4096)), "the target is untouched");
      await ends.readsPattern(1);
    },
  },
  {
    name: "says which way it takes and errors where a better one is required",
    async run(context) {
      const { initiator, peer, here, remote, ask } = await pairEnds(context, { bytes: 100 });
      const { name } = context.fixture.transport();
      const told = initiator.explain(peer, here, remote, 1_000_000);
      assert.equal(told.chosen, name);
      assert.ok((told.estimatedMicros ?? 0) > 0);
      for (const require of [{ transports: ["rdma"] }, { bytesPerSecond: 1e15 }])
        await assert.rejects(
          initiator.transfer({ ...ask("read"), require }),
          rejectsWith("TRANSFER_PATH_UNAVAILABLE"),
        );
      const stats = await initiator.transfer({ ...ask("read"), require: { transports: [name] } });
      assert.deepEqual(stats.transports, [name]);
    },
  },
  {
    name: "posting a running transfer again is refused",
    async run(context) {
      const { initiator, ask } = await pairEnds(context, { bytes: 24_000_000 });
      const transfer = initiator.createTransfer(ask("read"));
      if (transfer.post() === "inProgress")
        assert.throws(() => transfer.post(), rejectsWith("TRANSFER_REPOST"));
      await transfer.completion;
    },
  },
  {
    name: "can be posted again 10,000 times, and nothing grows",
    async run(context) {
      const { initiator, there, buffer, ask } = await pairEnds(context, { bytes: 256 });
      const transfer = initiator.createTransfer(ask("read"));
      let seed = 0;
      const post = async (times: number): Promise<void> => {
        for (let i = 0; i < times; i += 1) {
          if (i % 250 === 0) await fillPattern(there, (seed += 1));
          transfer.post();
          await transfer.completion;
        }
      };
      const heap = (): number => {
        collectGarbage();
        return process.memoryUsage().heapUsed;
      };
      // Each is some requests to a server there.
      const times = context.fixture.isRemoteStore === true ? 500 : 10_000;
      await post(times / 10);
      const before = heap();
      await post(times);
      assert.ok(heap() - before < 4e6, `the heap grew from ${before} to ${heap()} bytes`);
      assert.ok(isSame(buffer, patternBytes(seed, 0, 256)));
      await transfer.release();
      assert.throws(() => transfer.post(), rejectsWith("TRANSFER_RELEASED"));
    },
  },
];

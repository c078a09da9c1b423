import assert from "node:assert/strict";
import { describe } from "../../agent/descriptors.ts";
import { patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { isSame, pairEnds, type ProcessEnds, processEnds, rejectsWith, whole } from "./ends.ts";

/** A block that was reused is never taken for what it was. */
export const epochCases: readonly ConformanceCase[] = [
  {
    name: "a stale epoch is refused and a fitting one is not",
    needsEpochs: true,
    async run(context) {
      const ends = await pairEnds(context, { bytes: 40_000, blockBytes: 10_000, fill: 1 });
      const { initiator, peer, there, remote, here } = ends;
      const move = (operation: "read" | "write", block: number, expected: bigint): Promise<unknown> =>
        initiator.transfer({
          operation,
          peer,
          local: describe(here, whole(10_000)),
          remote: describe(remote, [{ offset: block * 10_000, bytes: 10_000 }]),
          epochs: [
            { region: remote.id, blocks: Uint32Array.of(block), expected: BigUint64Array.of(expected) },
          ],
        });
      there.epochs?.bump(2);
      await move("read", 1, 0n);
      await move("read", 2, 1n);
      await assert.rejects(move("read", 2, 0n), rejectsWith("TRANSFER_STALE_EPOCH"));
      there.epochs?.bump(1);
      await assert.rejects(move("read", 1, 0n), rejectsWith("TRANSFER_STALE_EPOCH"));
      await assert.rejects(move("write", 0, 7n), rejectsWith("TRANSFER_STALE_EPOCH"));
      assert.ok(
        isSame(await there.read(0, 10_000), patternBytes(1, 0, 10_000)),
        "a refused write leaves no byte",
      );
    },
  },
];

const blockBytes = 8192;
/** Readers at once: a round trip of one is time for the others. */
const lanes = 16;

/** Reads the block until `isOver`; returns how often it was at rest. */
async function readChurned(ends: ProcessEnds, isOver: () => boolean): Promise<number> {
  const { initiator, peer, remote } = ends;
  const buffer = Buffer.alloc(blockBytes);
  const head = Buffer.alloc(8);
  const wanted = Buffer.alloc(blockBytes);
  const look = initiator.createTransfer({
    operation: "read",
    peer,
    local: describe(initiator.register(head), whole(8)),
    remote: describe(remote, whole(8)),
  });
  const local = describe(initiator.register(buffer), whole(blockBytes));
  const there = describe(remote, whole(blockBytes));
  let accepted = 0;
  while (!isOver()) {
    // Read without a check, and perhaps torn: only a guess at what to expect.
    look.post();
    await look.completion;
    const epoch = head.readBigUInt64LE();
    try {
      await initiator.transfer({
        operation: "read",
        peer,
        local,
        remote: there,
        epochs: [{ region: remote.id, blocks: Uint32Array.of(0), expected: BigUint64Array.of(epoch) }],
      });
    } catch (error) {
      rejectsWith("TRANSFER_STALE_EPOCH")(error);
      continue;
    }
    accepted += 1;
    wanted.fill(Number(epoch % 251n));
    wanted.writeBigUInt64LE(epoch);
    assert.ok(isSame(buffer, wanted), `torn or foreign bytes at epoch ${epoch}`);
  }
  return accepted;
}

export const epochTwoProcessCases: readonly ConformanceCase[] = [
  {
    name: "two processes: a block that is reused all the time never comes torn or foreign",
    needsEpochs: true,
    async run(context) {
      const ends = await processEnds(context, { bytes: blockBytes, blockBytes, fill: 1 });
      await ends.child.call({ do: "churn", region: ends.remote.id, blockBytes });
      const rounds = context.repeats(100_000);
      let begun = 0;
      const isOver = (): boolean => (begun += 1) > rounds;
      const accepted = await Promise.all(Array.from({ length: lanes }, () => readChurned(ends, isOver)));
      await ends.child.call({ do: "stopChurn" });
      assert.ok(
        accepted.reduce((sum, count) => sum + count, 0) > 0,
        `none of ${rounds} rounds found the block at rest`,
      );
    },
  },
];

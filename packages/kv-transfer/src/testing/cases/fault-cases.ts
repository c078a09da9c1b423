import assert from "node:assert/strict";
import { describe } from "../../agent/descriptors.ts";
import { loopback } from "../../transport/loopback.ts";
import type { FaultPlan } from "../faulty-transport.ts";
import { patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { isSame, type PairEnds, pairEnds, rejectsWith } from "./ends.ts";

const count = 100;
const pieceBytes = 900;
const list = Array.from({ length: count }, (_, i) => ({ offset: i * 1000, bytes: pieceBytes }));

async function scattered(ends: PairEnds, notify?: { readonly tag: string }) {
  return ends.initiator.transfer({
    operation: "read",
    peer: ends.peer,
    local: describe(ends.here, list),
    remote: describe(ends.remote, list),
    ...(notify === undefined ? {} : { notify }),
  });
}

const isWhole = (buffer: Uint8Array): boolean =>
  list.every(({ offset }) =>
    isSame(buffer.subarray(offset, offset + pieceBytes), patternBytes(3, offset, pieceBytes)),
  );

/** One way fails in part: the network is split, or another way goes on. */
export const faultCases: readonly ConformanceCase[] = [
  {
    name: "data down and messages up: the data fails, the peer stays and hears",
    async run(context) {
      const plan: FaultPlan = { post: () => ({ kind: "failAtPost" }) };
      const ends = await pairEnds(context, { bytes: count * 1000, fill: 3, initiator: { plan } });
      await assert.rejects(scattered(ends), rejectsWith("TRANSFER_TRANSPORT_FAILED"));
      assert.ok(isSame(ends.buffer, new Uint8Array(count * 1000)));
      const heard = ends.target.expect(ends.initiator.name, "alive", 1);
      await ends.peer.notify("alive");
      await heard;
      assert.equal(ends.peer.isCurrent, true);
    },
  },
  {
    name: "messages down and data up: the data arrives, the message fails in words, the peer stays",
    async run(context) {
      const plan: FaultPlan = { notify: () => ({ kind: "fail" }) };
      const ends = await pairEnds(context, { bytes: count * 1000, fill: 3, initiator: { plan } });
      await scattered(ends);
      assert.ok(isWhole(ends.buffer));
      await assert.rejects(
        ends.peer.notify("lost"),
        (error: { kind?: string }) => error.kind === "unavailable",
      );
      assert.equal(ends.peer.isCurrent, true);
    },
  },
  ...(["partial", "failAtCompletion", "cut"] as const).map((kind): ConformanceCase => ({
    name: `goes on over another way after ${kind}, with every piece once and one notification`,
    async run(context) {
      const { name } = context.fixture.transport();
      // The other way carries host memory.
      if (name === "loopback" || context.memory !== "host") return;
      const plan: FaultPlan = { post: (number) => (number === 0 ? { kind } : undefined) };
      const ends = await pairEnds(context, {
        bytes: count * 1000,
        fill: 3,
        initiator: { plan, also: [loopback()] },
      });
      const stats = await scattered(ends, { tag: "done" });
      assert.equal(stats.failovers, 1);
      assert.equal(stats.bytes, count * pieceBytes);
      // A cut may come after the first pieces have arrived.
      const ways = { partial: [name, "loopback"], failAtCompletion: ["loopback"], cut: undefined }[kind];
      if (ways !== undefined) assert.deepEqual(stats.transports, ways);
      assert.ok(isWhole(ends.buffer));
      await ends.target.expect(ends.initiator.name, "done", 1);
      await ends.peer.notify("last");
      for await (const { tag } of ends.target.notifications()) {
        assert.equal(tag, "last");
        break;
      }
    },
  })),
];

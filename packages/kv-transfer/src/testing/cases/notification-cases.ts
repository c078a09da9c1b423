import assert from "node:assert/strict";
import { describe } from "../../agent/descriptors.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { rejectsWith } from "./transfer-cases.ts";
import type { ConformanceCase } from "../transport-suite.ts";

/** Messages: in order, once, bounded; leases. */
export const notificationCases: readonly ConformanceCase[] = [
  {
    name: "a transfer's notification comes after its data is visible",
    async run({ pair }) {
      const { initiator, target, peer, allocate } = await pair();
      const bytes = 2_000_000;
      const { there, remote } = await allocate(bytes);
      const here = initiator.register(new Uint8Array(bytes));
      for (let round = 1; round <= 5; round += 1) {
        await fillPattern(here, round);
        const piece = [{ offset: 0, bytes }];
        const seen = target.expect(initiator.name, `round-${round}`, 1).then(() => there.read(0, bytes));
        await initiator.transfer({
          operation: "write",
          peer,
          local: describe(here, piece),
          remote: describe(remote, piece),
          notify: { tag: `round-${round}` },
        });
        assert.equal(Buffer.compare(await seen, patternBytes(round, 0, bytes)), 0);
      }
    },
  },
  {
    name: "notifications keep their order, their bytes and their names",
    async run({ pair }) {
      const { initiator, target, peer } = await pair();
      const payloads = [new Uint8Array(0), Uint8Array.of(0, 255), patternBytes(1, 0, 1_048_576)];
      const tags = ["", "ключ-鍵-🔑", "a\0b"];
      const sent = Promise.all(payloads.map((payload, i) => peer.notify(tags[i] as string, payload)));
      const got: [string, Uint8Array][] = [];
      for await (const message of target.notifications()) {
        assert.equal(message.peer, initiator.name);
        got.push([message.tag, message.payload]);
        if (got.length === payloads.length) break;
      }
      await sent;
      got.forEach(([tag, payload], i) => {
        assert.equal(tag, tags[i]);
        assert.equal(Buffer.compare(payload, payloads[i] as Uint8Array), 0);
      });
    },
  },
  {
    name: "a slow reader slows the sender and loses nothing",
    async run({ pair }) {
      const { target, peer } = await pair();
      const count = 10_000;
      let acknowledged = 0;
      const sent = Array.from({ length: count }, (_, i) =>
        peer.notify("n", Uint8Array.of(i & 255, i >> 8)).then(() => {
          acknowledged += 1;
        }),
      );
      let next = 0;
      for await (const message of target.notifications()) {
        assert.equal((message.payload[0] as number) + (message.payload[1] as number) * 256, next);
        next += 1;
        if (next === 1) assert.ok(acknowledged < count, "the inbox is bounded");
        if (next === count) break;
      }
      await Promise.all(sent);
    },
  },
  {
    name: "expect counts messages that came before and after it was asked",
    async run({ pair }) {
      const { initiator, target, peer } = await pair();
      await peer.notify("part");
      const all = target.expect(initiator.name, "part", 3);
      await Promise.all([peer.notify("part"), peer.notify("part"), peer.notify("other")]);
      await all;
      const abort = new AbortController();
      const late = target.expect(initiator.name, "part", 1, abort.signal);
      abort.abort();
      await assert.rejects(late, rejectsWith("TRANSFER_CANCELLED"));
    },
  },
  {
    name: "a peer renews and releases a lease; silence ends it",
    async run({ pair }) {
      const { target, peer } = await pair();
      const ends: string[] = [];
      const kept = target.lease(60_000, (end) => ends.push(`kept ${end}`));
      await peer.renewLease(kept.id);
      assert.equal(kept.isHeld, true);
      await peer.releaseLease(kept.id);
      assert.equal(kept.isHeld, false);
      await peer.releaseLease("00".repeat(16));
      const expired = new Promise<string>((resolve) => target.lease(5, resolve));
      assert.equal(await expired, "expired");
      assert.deepEqual(ends, ["kept released"]);
      assert.equal(target.heldLeases, 0);
    },
  },
];

import assert from "node:assert/strict";
import { defaultInboxMessages } from "../../agent/create-agent.ts";
import { collectGarbage } from "../collect-garbage.ts";
import type { FaultPlan } from "../faulty-transport.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { isSame, pairEnds, processEnds, rejectsWith, turns } from "./ends.ts";

/** Messages: in order, once, bounded; leases. */
export const notificationCases: readonly ConformanceCase[] = [
  {
    name: "a transfer's notification comes after its data is visible",
    async run(context) {
      const bytes = 2_000_000;
      const { initiator, target, there, here, ask } = await pairEnds(context, { bytes });
      for (let round = 1; round <= 5; round += 1) {
        await fillPattern(here, round);
        const seen = target.expect(initiator.name, `round-${round}`, 1).then(() => there.read(0, bytes));
        await initiator.transfer({ ...ask("write"), notify: { tag: `round-${round}` } });
        assert.ok(isSame(await seen, patternBytes(round, 0, bytes)));
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
        assert.ok(isSame(payload, payloads[i] as Uint8Array));
      });
    },
  },
  {
    name: "notifications that a network doubles, delays or puts in another order arrive once and in order",
    async run({ pair }) {
      const count = 200;
      const later = turns(50);
      const plan: FaultPlan = {
        notify(number) {
          if (number % 7 === 2) return { kind: "duplicate" };
          if (number % 11 === 5) return { kind: "swap" };
          return number % 13 === 8 ? { kind: "delay", until: later } : undefined;
        },
      };
      const { target, peer } = await pair({ plan });
      const sent = Promise.all(Array.from({ length: count }, (_, i) => peer.notify("n", Uint8Array.of(i))));
      const got: (number | undefined)[] = [];
      for await (const message of target.notifications()) {
        got.push(message.payload[0]);
        if (got.length === count) break;
      }
      await sent;
      assert.deepEqual(got, [...Array(count).keys()]);
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
    name: "a peer renews and releases a lease, also after notifications; silence ends it",
    async run({ pair }) {
      const { target, peer } = await pair();
      const ends: string[] = [];
      // What is said about leases has numbers of its own.
      for (let i = 0; i < 5; i += 1) await peer.notify("before");
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

const megabyte = 1 << 20;

export const notificationTwoProcessCases: readonly ConformanceCase[] = [
  {
    name: "two processes: notifications to a slow reader: the sender waits, memory stays, none is lost",
    async run(context) {
      const { initiator, child } = await processEnds(context, { bytes: 1 });
      const count = context.repeats(1_000_000);
      const ownBlob = Buffer.from(initiator.exportMetadata()).toString("base64");
      await child.call({ do: "import", blob: ownBlob });
      const memory = async (): Promise<readonly [number, number]> => {
        collectGarbage();
        return [process.memoryUsage().rss, (await child.call({ do: "residentBytes" })) as number];
      };
      const acknowledged = async (): Promise<number> => (await child.call({ do: "acknowledged" })) as number;
      const sent = child.call({ do: "notify", peer: initiator.name, tag: "n", count });
      // Nobody reads: what is acknowledged stops at the inbox.
      while ((await acknowledged()) < defaultInboxMessages) await turns(10);
      const before = await memory();
      assert.equal(await acknowledged(), defaultInboxMessages, "the inbox is bounded");
      let next = 0;
      for await (const { payload } of initiator.notifications()) {
        assert.equal(new DataView(payload.buffer, payload.byteOffset).getUint32(0, true), next);
        next += 1;
        if (next === count) break;
        // Slower than the messages come.
        if (next % 256 === 0) await turns(1);
      }
      await sent;
      const after = await memory();
      for (const side of [0, 1] as const)
        assert.ok(
          after[side] - before[side] < 96 * megabyte,
          `${side === 0 ? "the reader" : "the sender"} grew by ${(after[side] - before[side]) / megabyte} MiB`,
        );
    },
  },
];

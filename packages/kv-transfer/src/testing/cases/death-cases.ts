import assert from "node:assert/strict";
import type { Logger } from "@stator/core";
import { silentLogger } from "@stator/core";
import { describe } from "../../agent/descriptors.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { accessOf } from "../region-access.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { anotherEnd, isGone, isSame, processEnds, rejectsWith, turns } from "./ends.ts";

const pieces = 8;
/** A stopped target stands still so long, ms. */
const standstillMs = 5000;

/** What killed and stopped processes do to others. */
export const deathCases: readonly ConformanceCase[] = [
  ...([0, 0.5, 0.99] as const).flatMap((share) =>
    (["read", "write"] as const).map((operation): ConformanceCase => ({
      name: `two processes: a target killed after ${share * 100} % of 8 ${operation}s in flight: what had not arrived fails, and nothing hangs`,
      async run(context) {
        // A server that stores it takes a second for what memory takes in milliseconds.
        const pieceBytes = context.fixture.isRemoteStore === true ? 2 << 20 : 16 << 20;
        const bytes = pieces * pieceBytes;
        // A byte of each MiB tells how far the data has come.
        const places = Array.from({ length: bytes >> 20 }, (_, i) => ((i + 1) << 20) - 1);
        const ends = await processEnds(context, { bytes, fill: 1, name: "victim" });
        const { initiator, child, peer, remote, here, buffer } = ends;
        await peer.notify("hello");
        const lost = new Promise<void>((resolve) => peer.onLost(() => resolve()));
        const isRead = operation === "read";
        if (isRead) for (const place of places) buffer[place] = ~(patternBytes(1, place, 1)[0] as number);
        else await fillPattern(here, 2);
        const changed = Math.ceil(share * places.length);
        if (!isRead && changed > 0) child.tell({ do: "killAt", region: remote.id, fill: 1, places, changed });
        const running = Array.from({ length: pieces }, (_, i) => {
          const piece = [{ offset: i * pieceBytes, bytes: pieceBytes }];
          return initiator.transfer({
            operation,
            peer,
            local: describe(here, piece),
            remote: describe(remote, piece),
          });
        });
        let isOver = false;
        const settled = Promise.allSettled(running).finally(() => (isOver = true));
        const arrived = (): number =>
          places.filter((place) => buffer[place] === patternBytes(1, place, 1)[0]).length;
        if (isRead) while (!isOver && arrived() < changed) await turns(1);
        if (isRead || changed === 0) child.signal("SIGKILL");
        for (const [i, end] of (await settled).entries())
          if (end.status === "rejected") isGone(end.reason);
          else if (isRead) {
            const at = i * pieceBytes;
            const got = buffer.subarray(at, at + pieceBytes);
            assert.ok(isSame(got, patternBytes(1, at, pieceBytes)), `read ${i} is not what it says`);
          }
        await child.exited;
        await lost;
        assert.equal(peer.isCurrent, false);
        await assert.rejects(peer.notify("after the end"), isGone);
        await assert.rejects(initiator.transfer(ends.ask("read")), rejectsWith("TRANSFER_PEER_LOST"));
      },
    })),
  ),
  {
    name: "two processes: a target killed before the post is an error, not a hang",
    async run(context) {
      const { initiator, child, ask } = await processEnds(context, { bytes: 1000 });
      child.signal("SIGKILL");
      await child.exited;
      await assert.rejects(initiator.transfer(ask("write")), isGone);
    },
  },
  {
    name: "two processes: a target killed between data and notification: the sender is told, and its successor hears nothing",
    async run(context) {
      let reachDeath: (() => void) | undefined;
      const death = new Promise<void>((resolve) => (reachDeath = resolve));
      let tell: ((line: string) => void) | undefined;
      const warned = new Promise<void>((resolve) => {
        tell = (line) => {
          if (line === "a transfer's notification was not delivered") resolve();
        };
      });
      const logger: Logger = { ...silentLogger, warn: (line) => tell?.(line) };
      const plan = {
        notify: (number: number) => (number === 0 ? ({ kind: "delay", until: death } as const) : undefined),
      };
      const ends = await processEnds(context, { bytes: 10_000, name: "victim", initiator: { plan, logger } });
      const lost = new Promise<void>((resolve) => ends.peer.onLost(() => resolve()));
      await ends.initiator.transfer({ ...ends.ask("write"), notify: { tag: "ghost" } });
      ends.child.signal("SIGKILL");
      await ends.child.exited;
      reachDeath?.();
      await warned;
      await lost;
      await assert.rejects(ends.initiator.transfer(ends.ask("write")), rejectsWith("TRANSFER_PEER_LOST"));
      const next = await context.peerProcess("victim");
      const blob = Buffer.from((await next.call({ do: "metadata" })) as string, "base64");
      const heard = next.call({ do: "tags", until: "fresh" });
      await ends.initiator.importMetadata(blob).notify("fresh");
      assert.deepEqual(await heard, ["fresh"]);
    },
  },
  {
    name: "two processes: a killed initiator leaves the target without a notification and serving",
    async run(context) {
      const size = 32_000_000;
      const target = await context.agent();
      const there = await target.allocate({ bytes: size, memory: context.memory });
      const blob = Buffer.from(target.exportMetadata()).toString("base64");
      const open = async (ownBytes: number, fill: number) => {
        const child = await context.peerProcess("writer");
        const region = (await child.call({
          do: "allocate",
          bytes: ownBytes,
          fill,
          isRegistered: true,
        })) as number;
        await child.call({ do: "import", blob });
        return {
          child,
          ask: { do: "write", peer: target.name, region, remote: there.id, bytes: ownBytes } as const,
        };
      };
      let isNotified = false;
      const abort = new AbortController();
      const wait = target.expect("writer", "done", 1, abort.signal).then(
        () => {
          isNotified = true;
        },
        () => undefined,
      );
      const victim = await open(size, 1);
      victim.child.tell({ ...victim.ask, notify: "done" });
      await turns(1);
      victim.child.signal("SIGKILL");
      await victim.child.exited;
      const next = await open(1000, 5);
      const again = target.expect("writer", "again", 1);
      await next.child.call({ ...next.ask, notify: "again" });
      await again;
      assert.ok(isSame(await accessOf(target, there).read(0, 1000), patternBytes(5, 0, 1000)));
      assert.equal(isNotified, false);
      abort.abort();
      await wait;
    },
  },
  {
    name: "two processes: a target that stands still for 5 s finishes one-sided work or runs into the deadline, is not taken for dead, and serves again",
    async run(context) {
      const ends = await processEnds(context, { bytes: 4_000_000, fill: 4 });
      const { initiator, child, peer, ask } = ends;
      await initiator.transfer(ask("read"));
      let isLost = false;
      peer.onLost(() => {
        isLost = true;
      });
      await child.stop();
      const stopped = initiator.transfer({ ...ask("read"), deadlineMs: standstillMs });
      // Who is not connected yet can't be while it stands still, and does not wait longer than it said.
      const stranger = await anotherEnd(context, ends);
      const refused = assert.rejects(
        stranger.initiator.transfer({ ...stranger.ask("read"), deadlineMs: standstillMs }),
        rejectsWith("TRANSFER_DEADLINE"),
      );
      if (context.capabilities.isOneSided) await stopped;
      else await assert.rejects(stopped, rejectsWith("TRANSFER_DEADLINE"));
      await refused;
      assert.equal(isLost, false);
      assert.equal(peer.isCurrent, true);
      child.signal("SIGCONT");
      await ends.readsPattern(4);
    },
  },
];

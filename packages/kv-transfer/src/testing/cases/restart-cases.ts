import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe } from "../../agent/descriptors.ts";
import { freePort } from "../free-port.ts";
import { mayChoosePids } from "../peer/peer-process.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { accessOf } from "../region-access.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { anotherEnd, isGone, isSame, metadataOf, processEnds, rejectsWith, whole } from "./ends.ts";

const bytes = 10_000;

/** Who comes back under an old name is somebody else. */
export const restartCases: readonly ConformanceCase[] = [
  {
    name: "a peer that came back under its name replaces the old one, whose handles are refused",
    async run({ agent, memory }) {
      const initiator = await agent();
      const first = await agent({ name: "phoenix" });
      const old = await first.allocate({ bytes: 100, memory });
      const oldPeer = initiator.importMetadata(first.exportMetadata());
      const here = initiator.register(new Uint8Array(100));
      const ask = {
        operation: "read",
        peer: oldPeer,
        local: describe(here, whole(100)),
        remote: describe(oldPeer.region(old.id), whole(100)),
      } as const;
      const prepared = initiator.createTransfer(ask);
      await initiator.transfer(ask);
      let isLost = false;
      oldPeer.onLost(() => {
        isLost = true;
      });
      await first.close();
      const second = await agent({ name: "phoenix" });
      const fresh = await second.allocate({ bytes: 100, memory });
      await fillPattern(accessOf(second, fresh), 3);
      const newPeer = initiator.importMetadata(second.exportMetadata());
      assert.notEqual(newPeer.incarnation, oldPeer.incarnation);
      assert.ok(isLost);
      assert.throws(() => prepared.post(), rejectsWith("TRANSFER_PEER_LOST"));
      await initiator.transfer({
        ...ask,
        peer: newPeer,
        remote: describe(newPeer.region(fresh.id), whole(100)),
      });
      assert.ok(isSame(here.read(0, 100), patternBytes(3, 0, 100)));
    },
  },
  {
    name: "a closed peer is noticed",
    async run({ pair }) {
      const { initiator, target, peer, allocate } = await pair();
      const { remote } = await allocate(100);
      const ask = {
        operation: "read",
        peer,
        local: describe(initiator.register(new Uint8Array(100)), whole(100)),
        remote: describe(remote, whole(100)),
      } as const;
      await initiator.transfer(ask);
      await target.close();
      await assert.rejects(initiator.transfer(ask), isGone);
    },
  },
];

/** A pid far from those that this machine gives out: nobody takes it between two processes of a test. */
function farPid(): { readonly pid?: number } {
  if (!mayChoosePids()) return {};
  const most = Number(readFileSync("/proc/sys/kernel/pid_max", "utf8"));
  return { pid: Math.floor(most * (0.6 + 0.35 * Math.random())) };
}

/** Kills a process and gives its pid to another before it returns; false where this machine does not let it. */
function replaceWithSleeper(pid: number): boolean {
  const script = `
    kill -9 $1
    while [ -d /proc/$1 ]; do :; done
    for i in $(seq 500); do
      echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid
      sleep 60 &
      [ $! = $1 ] && exit 0
      kill $!
    done
    exit 1`;
  return spawnSync("sh", ["-c", script, "sh", String(pid)], { stdio: "ignore" }).status === 0;
}

/**
 * Refused, or the old memory's own bytes where the path outlives its process: never another's. A read that was under way when
 * the end was noticed is refused with what had come by then.
 */
async function refusedOrOwn(moved: Promise<unknown>, buffer: Uint8Array): Promise<void> {
  const isDone = await moved.then(
    () => true,
    (error: unknown) => !isGone(error),
  );
  const own = patternBytes(1, 0, bytes);
  if (isDone) assert.ok(isSame(buffer, own), "not the old region's bytes");
  else
    assert.ok(
      buffer.every((byte, i) => byte === 0 || byte === own[i]),
      "another's bytes in a refused read",
    );
}

export const restartTwoProcessCases: readonly ConformanceCase[] = [
  {
    name: "two processes: a target killed and started again under its name, pid and port is another one, and old handles are refused",
    async run(context) {
      const port = context.fixture.module?.takesPort === true ? { port: await freePort() } : {};
      const options = { bytes, fill: 1, name: "phoenix", process: { ...port, ...farPid() } };
      const ends = await processEnds(context, options);
      const { initiator, child, peer, ask, buffer } = ends;
      await ends.readsPattern(1);
      buffer.fill(0);
      const prepared = initiator.createTransfer(ask("read"));
      const lost = new Promise<void>((resolve) => peer.onLost(() => resolve()));
      child.signal("SIGKILL");
      await child.exited;
      const second = await context.peerProcess("phoenix", { ...port, pid: child.pid });
      if (mayChoosePids()) assert.equal(second.pid, child.pid, "the pid is the old one's");
      const id = (await second.call({ do: "allocate", bytes, fill: 9, memory: context.memory })) as number;
      // Who knew the first, and who only ever had its metadata.
      const late = await anotherEnd(context, ends);
      await refusedOrOwn(late.initiator.transfer(late.ask("read")), late.buffer);
      await lost;
      assert.throws(() => prepared.post(), rejectsWith("TRANSFER_PEER_LOST"));
      assert.ok(isSame(buffer, new Uint8Array(bytes)));
      const fresh = initiator.importMetadata(await metadataOf(second));
      await initiator.transfer({
        ...ask("read"),
        peer: fresh,
        remote: describe(fresh.region(id), whole(bytes)),
      });
      assert.ok(isSame(buffer, patternBytes(9, 0, bytes)));
    },
  },
  {
    name: "two processes: a process that got a dead target's pid is not taken for it, even before the end was noticed",
    async run(context) {
      if (!mayChoosePids()) return;
      // A parent in between buries it at once: this process's event loop does not get to know.
      const within = ["sh", "-c", '"$@"; exit $?', "sh"];
      const ends = await processEnds(context, { bytes, fill: 1, process: { within } });
      const { initiator, child, ask, buffer } = ends;
      await ends.readsPattern(1);
      buffer.fill(0);
      const pid = (await child.call({ do: "pid" })) as number;
      const prepared = initiator.createTransfer(ask("read"));
      assert.ok(replaceWithSleeper(pid), "no process got the pid");
      try {
        // No turn of the event loop has passed since.
        const moved = new Promise((resolve, reject) => {
          prepared.post();
          prepared.completion.then(resolve, reject);
        });
        await refusedOrOwn(moved, buffer);
      } finally {
        process.kill(pid, "SIGKILL");
      }
    },
  },
];

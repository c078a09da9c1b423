import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { anotherEnd, isSame, processEnds } from "./ends.ts";

/** Whether this machine can start processes with fewer resources. */
const hasLimits = spawnSync("prlimit", ["--version"]).status === 0;

/** An event loop stands still so long, ms. */
const standstillMs = 2000;
/** Waits of this process's own loop end so late, ms. */
const limitMs = 20_000;

async function inFolder(run: (at: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "stator-blocked-"));
  try {
    await run((name) => join(folder, name));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What happens where something runs out: descriptors, memory, the event loop's time. */
export const limitCases: readonly ConformanceCase[] = [
  {
    name: "two processes: a target without descriptors and with little lockable memory serves whom it knows, fails others with an error, and recovers",
    async run(context) {
      // Elsewhere than on Linux there is no such command.
      if (!hasLimits) return;
      const bytes = 2_000_000;
      const within = ["prlimit", "--nofile=512:512", `--memlock=${8 * 2 ** 20}`];
      const known = await processEnds(context, { bytes, fill: 3, name: "poor", process: { within } });
      const { child } = known;
      await known.readsPattern(3);
      assert.equal(await child.call({ do: "exhaust" }), "EMFILE");
      await known.readsPattern(3);
      // Its connection is accepted only to be hung up, or not at all.
      const stranger = await anotherEnd(context, known);
      await assert.rejects(
        stranger.initiator.transfer({ ...stranger.ask("read"), deadlineMs: 10_000 }),
        (error: { kind?: string }) => {
          assert.ok(["unavailable", "deadline", "notFound"].includes(error.kind ?? ""), String(error));
          return true;
        },
      );
      // An allocation that needs a descriptor is refused in words; others succeed.
      await child
        .call({ do: "allocate", bytes, fill: 1, memory: context.memory })
        .catch((error: Error) => assert.match(error.message, /TRANSFER_(LIMIT|TRANSPORT_FAILED)/));
      await child.call({ do: "relax" });
      await known.readsPattern(3);
      await (await anotherEnd(context, known)).readsPattern(3);
    },
  },
  {
    name: "two processes: a target without address space refuses memory in words and goes on serving",
    async run(context) {
      if (!hasLimits) return;
      const ends = await processEnds(context, { bytes: 2_000_000, fill: 3, process: { environment: {} } });
      const { child } = ends;
      const used =
        Number(/VmSize:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) * 1024;
      const limit = (value: string): void => {
        assert.equal(spawnSync("prlimit", ["--pid", String(child.pid), `--as=${value}`]).status, 0);
      };
      // Room for the runtime, none for what is asked.
      limit(`${used + 2 ** 29}:`);
      for (const isRegistered of [false, true])
        await child.call({ do: "allocate", bytes: 2 ** 30, memory: context.memory, isRegistered }).then(
          // What is not mapped takes no address space.
          () => assert.ok(!isRegistered, "1 GiB of 512 MiB"),
          (error: Error) =>
            assert.match(error.message, /TRANSFER_(LIMIT|TRANSPORT_FAILED)|allocation failed/),
        );
      await ends.readsPattern(3);
      limit("unlimited:");
      await child.call({ do: "allocate", bytes: 2_000_000, memory: context.memory });
      await (await anotherEnd(context, ends)).readsPattern(3);
    },
  },
  {
    name: "two processes: a target whose event loop stands still for 2 s loses nothing, and native paths do not wait for it",
    async run(context) {
      const ends = await processEnds(context, { bytes: 1_000_000, fill: 6 });
      const { initiator, child, peer } = ends;
      await ends.readsPattern(6);
      ends.buffer.fill(0);
      await inFolder(async (at) => {
        const busy = child.call({ do: "blockLoop", blocked: at("blocked"), release: at("release") });
        while (!existsSync(at("blocked"))) await new Promise((resolve) => setTimeout(resolve, 2));
        const until = performance.now() + standstillMs;
        const moved = initiator.transfer({ ...ends.ask("read"), deadlineMs: 60_000 });
        const told = peer.notify("meanwhile");
        // Who does not wait for the loop is done before it goes on; who does, when it does.
        if (context.fixture.needsLoopOf !== "both") await moved;
        while (performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
        assert.equal(peer.isCurrent, true);
        await writeFile(at("release"), "");
        await Promise.all([moved, told, busy]);
        await child.call({ do: "expect", peer: initiator.name, tag: "meanwhile", count: 1 });
      });
      assert.ok(isSame(ends.buffer, patternBytes(6, 0, 1_000_000)));
    },
  },
  {
    name: "two processes: what was posted goes on natively while this event loop stands still, and is told of afterwards",
    async run(context) {
      const { needsLoopOf = "none" } = context.fixture;
      if (needsLoopOf !== "none" || context.memory === "object") return;
      const bytes = 16 << 20;
      const { initiator, child, remote, buffer, ask } = await processEnds(context, { bytes });
      await initiator.transfer(ask("write"));
      buffer.fill(1);
      await inFolder(async (at) => {
        const heard = child.call({ do: "expect", peer: initiator.name, tag: "written", count: 1 });
        const seen = child.call({
          do: "tellWritten",
          region: remote.id,
          offset: bytes - 1,
          file: at("seen"),
        });
        const moved = initiator.transfer({ ...ask("write"), notify: { tag: "written" } });
        const never = new Int32Array(new SharedArrayBuffer(4));
        const until = performance.now() + limitMs;
        while (!existsSync(at("seen")) && performance.now() < until) Atomics.wait(never, 0, 0, 5);
        assert.ok(existsSync(at("seen")), "nothing arrived while the loop stood still");
        await Promise.all([moved, seen, heard]);
      });
    },
  },
];

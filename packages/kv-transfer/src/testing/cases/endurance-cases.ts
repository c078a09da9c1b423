import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, describePacked } from "../../agent/descriptors.ts";
import { collectGarbage } from "../collect-garbage.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { accessOf } from "../region-access.ts";
import { rejectsWith } from "./transfer-cases.ts";
import type { ConformanceCase } from "../transport-suite.ts";

const whole = (bytes: number) => [{ offset: 0, bytes }];

/** Lifetimes, sizes and instants that only go wrong rarely. */
export const enduranceCases: readonly ConformanceCase[] = [
  {
    name: "memory whose last reference the caller dropped stays until its region is deregistered, and goes then",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const bytes = 300_000;
      const { there, remote } = await allocate(bytes);
      await fillPattern(there, 3);
      // In a function of its own: nothing of it is on the stack afterwards.
      const useOnce = async (): Promise<WeakRef<Uint8Array>> => {
        const buffer = new Uint8Array(bytes);
        const here = initiator.register(buffer);
        const transfer = initiator.createTransfer({
          operation: "read",
          peer,
          local: describe(here, whole(bytes)),
          remote: describe(remote, whole(bytes)),
        });
        collectGarbage();
        transfer.post();
        collectGarbage();
        await transfer.completion;
        assert.equal(Buffer.compare(here.read(0, bytes), patternBytes(3, 0, bytes)), 0);
        await transfer.release();
        await here.deregister();
        return new WeakRef(buffer);
      };
      const kept = await useOnce();
      for (let round = 0; round < 50 && kept.deref() !== undefined; round += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        collectGarbage();
      }
      assert.equal(kept.deref(), undefined, "nothing holds the memory of a deregistered region");
    },
  },
  {
    name: "overlapping registrations and parts of a buffer are regions of their own",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(4096);
      await fillPattern(there, 9);
      const buffer = new Uint8Array(8192);
      const all = initiator.register(buffer);
      const part = initiator.register(buffer.subarray(100, 4196));
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(part, whole(4096)),
        remote: describe(remote, whole(4096)),
      });
      assert.equal(Buffer.compare(all.read(100, 4096), patternBytes(9, 0, 4096)), 0);
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
      // Memory that a transport can't carry where it was registered, and would have to make: 5 GB of it are too much to ask of a test.
      if (initiator.explain(peer, here, remote).chosen === undefined) return;
      const ask = {
        peer,
        local: describePacked(here, Float64Array.of(0, 60, 120), 60),
        remote: describePacked(remote, offsets, 60),
      };
      await initiator.transfer({ ...ask, operation: "write" });
      const access = accessOf(target, big);
      for (const [i, offset] of offsets.entries())
        assert.equal(Buffer.compare(await access.read(offset, 60), patternBytes(7, i * 60, 60)), 0);
      here.write(0, new Uint8Array(180));
      await initiator.transfer({ ...ask, operation: "read" });
      assert.equal(Buffer.compare(here.read(0, 180), patternBytes(7, 0, 180)), 0);
    },
  },
  {
    name: "moves 100,000 scattered pieces",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const pieces = 100_000;
      const { there, remote } = await allocate(pieces * 16);
      await fillPattern(there, 5);
      const here = initiator.register(new Uint8Array(pieces * 16));
      const at = (factor: number): Float64Array =>
        Float64Array.from({ length: pieces }, (_, i) => ((i * factor) % pieces) * 16);
      await initiator.transfer({
        operation: "read",
        peer,
        local: describePacked(here, at(7919), 16),
        remote: describePacked(remote, at(7919), 16),
        deadlineMs: 60_000,
      });
      assert.equal(Buffer.compare(here.read(0, here.bytes), patternBytes(5, 0, here.bytes)), 0);
    },
  },
  {
    name: "released at any instant, no byte lands afterwards",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const bytes = 2_000_000;
      const { there, remote } = await allocate(bytes);
      await fillPattern(there, 1);
      const here = initiator.register(new Uint8Array(bytes));
      for (let round = 0; round < 6; round += 1) {
        const transfer = initiator.createTransfer({
          operation: "read",
          peer,
          local: describe(here, whole(bytes)),
          remote: describe(remote, whole(bytes)),
        });
        transfer.post();
        for (let turns = round * 3; turns > 0; turns -= 1)
          await new Promise((resolve) => setImmediate(resolve));
        await transfer.release();
        here.write(0, new Uint8Array(bytes).fill(200 + round));
        for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
        assert.equal(
          Buffer.compare(here.read(0, bytes), Buffer.alloc(bytes, 200 + round)),
          0,
          `round ${round}: bytes came after the release`,
        );
      }
    },
  },
];

/** The same with a second process. */
export const enduranceTwoProcessCases: readonly ConformanceCase[] = [
  ...[0, 4, 7].map((done): ConformanceCase => ({
    name: `two processes: a target killed after ${done} of 8 reads fails the rest, and nothing hangs`,
    async run({ agent, memory, peerProcess }) {
      const bytes = 4_000_000;
      const initiator = await agent();
      const child = await peerProcess("victim");
      const id = (await child.call({ do: "allocate", bytes, fill: 1, memory })) as number;
      const peer = initiator.importMetadata(
        Buffer.from((await child.call({ do: "metadata" })) as string, "base64"),
      );
      const here = Array.from({ length: 8 }, () => initiator.register(new Uint8Array(bytes)));
      const read = (i: number): Promise<unknown> =>
        initiator.transfer({
          operation: "read",
          peer,
          local: describe(here[i] as (typeof here)[number], whole(bytes)),
          remote: describe(peer.region(id), whole(bytes)),
        });
      for (let i = 0; i < done; i += 1) await read(i);
      const rest = Promise.allSettled(Array.from({ length: 8 - done }, (_, i) => read(done + i)));
      child.signal("SIGKILL");
      for (const end of await rest)
        if (end.status === "rejected")
          assert.ok(
            ["unavailable", "notFound"].includes((end.reason as { kind?: string }).kind ?? ""),
            String(end.reason),
          );
      for (let i = 0; i < done; i += 1)
        assert.equal(
          Buffer.compare((here[i] as (typeof here)[number]).read(0, bytes), patternBytes(1, 0, bytes)),
          0,
        );
      await child.exited;
      await assert.rejects(
        peer.notify("after the end"),
        (error: { kind?: string }) => error.kind === "unavailable",
      );
    },
  })),
  {
    name: "two processes: a target whose event loop stands still loses nothing, and native paths do not wait for it",
    async run({ agent, memory, peerProcess }) {
      const bytes = 1_000_000;
      const initiator = await agent();
      const child = await peerProcess("busy");
      const id = (await child.call({ do: "allocate", bytes, fill: 6, memory })) as number;
      const peer = initiator.importMetadata(
        Buffer.from((await child.call({ do: "metadata" })) as string, "base64"),
      );
      const here = initiator.register(new Uint8Array(bytes));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(peer.region(id), whole(bytes)),
        deadlineMs: 60_000,
      } as const;
      await initiator.transfer(ask);
      here.write(0, new Uint8Array(bytes));
      const { path } = initiator.explain(peer, here, peer.region(id));
      const isNative = /native threads|memfd|cross-memory|files? in|UCX|CUDA|mapped memory|objects in/.test(
        path ?? "",
      );
      const folder = await mkdtemp(join(tmpdir(), "stator-blocked-"));
      const [blocked, release] = [join(folder, "blocked"), join(folder, "release")];
      try {
        const busy = child.call({ do: "blockLoop", blocked, release });
        while (!existsSync(blocked)) await new Promise((resolve) => setTimeout(resolve, 2));
        const moved = initiator.transfer(ask);
        // Who does not wait for the loop is done before it goes on; who does, when it does.
        if (isNative) await moved;
        await writeFile(release, "");
        await moved;
        await busy;
      } finally {
        await rm(folder, { recursive: true });
      }
      assert.equal(Buffer.compare(here.read(0, bytes), patternBytes(6, 0, bytes)), 0);
    },
  },
  {
    name: "two processes: a worker thread that is ended in the middle of its transfers takes nothing with it",
    async run({ fixture, agent, memory, peerProcess }) {
      const { module } = fixture;
      // The worker needs a module to load the transport from.
      if (module === undefined) return;
      const initiator = await agent();
      const child = await peerProcess("survivor");
      await child.call({
        do: "endWorker",
        module: module.specifier,
        export: module.export,
        options: module.options,
        memory,
      });
      const id = (await child.call({ do: "allocate", bytes: 1000, fill: 2, memory })) as number;
      const peer = initiator.importMetadata(
        Buffer.from((await child.call({ do: "metadata" })) as string, "base64"),
      );
      const here = initiator.register(new Uint8Array(1000));
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, whole(1000)),
        remote: describe(peer.region(id), whole(1000)),
      });
      assert.equal(Buffer.compare(here.read(0, 1000), patternBytes(2, 0, 1000)), 0);
    },
  },
];

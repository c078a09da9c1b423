import assert from "node:assert/strict";
import { describe } from "../../agent/descriptors.ts";
import { collectGarbage } from "../collect-garbage.ts";
import { patternBytes } from "../pattern.ts";
import type { ConformanceCase } from "../transport-suite.ts";
import { isGone, isSame, pairEnds, processEnds, rejectsWith, turns, whole } from "./ends.ts";

/** How long bytes are watched that must not change any more, ms. */
const watchMs = 1000;

/** A sequence that looks random and is the same each time (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ends of transfers, regions and memory: nothing is touched afterwards. */
export const endingCases: readonly ConformanceCase[] = [
  {
    name: "memory whose last reference the caller dropped stays until its region is deregistered, and goes then",
    async run(context) {
      const bytes = 300_000;
      const { initiator, peer, remote } = await pairEnds(context, { bytes, fill: 3 });
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
        assert.ok(isSame(here.read(0, bytes), patternBytes(3, 0, bytes)));
        await transfer.release();
        await here.deregister();
        return new WeakRef(buffer);
      };
      const kept = await useOnce();
      for (let round = 0; round < 50 && kept.deref() !== undefined; round += 1) {
        await turns(1);
        collectGarbage();
      }
      assert.equal(kept.deref(), undefined, "nothing holds the memory of a deregistered region");
    },
  },
  {
    name: "resident memory returns when regions are deregistered and transfers released",
    async run(context) {
      const bytes = 64 << 20;
      const { initiator, peer, remote } = await pairEnds(context, { bytes: 4096, fill: 3 });
      const resident = (): number => {
        collectGarbage();
        return process.memoryUsage().rss;
      };
      const before = resident();
      const useMuch = async (): Promise<void> => {
        const regions = [initiator.register(new Uint8Array(bytes)), await initiator.allocate({ bytes })];
        for (const here of regions) {
          here.write(0, new Uint8Array(bytes).fill(1));
          const transfer = initiator.createTransfer({
            operation: "read",
            peer,
            local: describe(here, whole(4096)),
            remote: describe(remote, whole(4096)),
          });
          transfer.post();
          await transfer.completion;
          await transfer.release();
        }
        assert.ok(resident() - before > 0.9 * bytes, "the regions are there");
        for (const here of regions) await here.deregister();
      };
      await useMuch();
      for (let round = 0; round < 100 && resident() - before > bytes / 2; round += 1) await turns(5);
      assert.ok(resident() - before < bytes / 2, `${(resident() - before) >> 20} MiB did not return`);
    },
  },
  {
    name: "deregistering waits for the own transfers that use the region",
    async run(context) {
      const bytes = 24_000_000;
      const { initiator, here, buffer, ask } = await pairEnds(context, { bytes, fill: 6 });
      const transfer = initiator.createTransfer(ask("read"));
      transfer.post();
      await here.deregister();
      assert.notEqual(transfer.status, "inProgress");
      await transfer.completion;
      assert.ok(isSame(buffer, patternBytes(6, 0, bytes)));
    },
  },
  {
    name: "a deregistered region is refused, here and there, and a second deregistration is nothing",
    async run(context) {
      const { initiator, there, here, ask, allocate } = await pairEnds(context, { bytes: 1000 });
      const known = ask("read");
      await initiator.transfer(known);
      await there.deregister();
      await there.deregister();
      await assert.rejects(initiator.transfer(known), rejectsWith("TRANSFER_REGION_GONE"));
      const next = await allocate(1000);
      const prepared = initiator.createTransfer({ ...known, remote: describe(next.remote, whole(1000)) });
      await here.deregister();
      await here.deregister();
      assert.throws(() => prepared.post(), rejectsWith("TRANSFER_REGION_GONE"));
      assert.throws(() => initiator.createTransfer(known), rejectsWith("TRANSFER_WRONG_OWNER"));
    },
  },
  {
    name: "release in the middle resolves at quiescence: no byte lands afterwards",
    async run(context) {
      const bytes = 16_000_000;
      const { initiator, peer, remote, buffer, ask } = await pairEnds(context, { bytes, fill: 8 });
      const clean = new Uint8Array(bytes).fill(0xee);
      const other = describe(initiator.register(new Uint8Array(1000)), whole(1000));
      for (let delay = 0; delay < 8; delay += 1) {
        const transfer = initiator.createTransfer(ask("read"));
        transfer.post();
        await turns(delay);
        await transfer.release();
        buffer.fill(0xee);
        // One full transfer behind it on the same link: whatever was still under way has arrived by then.
        await initiator.transfer({
          operation: "read",
          peer,
          local: other,
          remote: describe(remote, whole(1000)),
        });
        assert.ok(isSame(buffer, clean), `late bytes after ${delay} turns`);
      }
    },
  },
  ...(["read", "write"] as const).map((operation): ConformanceCase => ({
    name: `${operation}s that are released at random instants touch nothing for a second afterwards, however their buffers are used`,
    async run(context) {
      const bytes = 4_000_000;
      const source = 0x11;
      const ends = await pairEnds(context, { bytes });
      const { initiator, peer, remote, there } = ends;
      const isWrite = operation === "write";
      if (!isWrite) await there.write(0, new Uint8Array(bytes).fill(source));
      const ask = (buffer: Uint8Array) => ({
        operation,
        peer,
        local: describe(initiator.register(buffer), whole(bytes)),
        remote: describe(remote, whole(bytes)),
      });
      const start = performance.now();
      await initiator.transfer(ask(new Uint8Array(bytes).fill(source)));
      const usualMs = performance.now() - start;
      const random = randomOf(isWrite ? 1 : 2);
      const scribbled: { readonly buffer: Uint8Array; readonly value: number }[] = [];
      for (let round = 0; round < 12; round += 1) {
        const buffer = new Uint8Array(bytes).fill(isWrite ? source : 0);
        const transfer = initiator.createTransfer(ask(buffer));
        transfer.post();
        const until = performance.now() + random() * usualMs;
        do await turns(1);
        while (performance.now() < until);
        await transfer.release();
        const value = 0x80 + round;
        buffer.fill(value);
        scribbled.push({ buffer, value });
      }
      const watchedUntil = performance.now() + watchMs;
      do {
        for (const { buffer, value } of scribbled)
          assert.ok(
            buffer.every((byte) => byte === value),
            "a byte came after the release",
          );
        await turns(10);
      } while (performance.now() < watchedUntil);
      // What was scribbled over a source never reaches the target.
      const arrived = await there.read(0, bytes);
      assert.ok(
        arrived.every((byte) => byte === source || byte === 0),
        "the target got bytes of a later use",
      );
    },
  })),
  {
    name: "an aborted signal and a passed deadline end a transfer with their own codes",
    async run(context) {
      const { initiator, ask } = await pairEnds(context, {
        bytes: 48_000_000,
        initiator: { plan: { post: (number) => (number === 2 ? { kind: "drop" } : undefined) } },
      });
      await assert.rejects(
        initiator.transfer({ ...ask("read"), signal: AbortSignal.abort() }),
        rejectsWith("TRANSFER_CANCELLED"),
      );
      await initiator.transfer(ask("read"));
      const abort = new AbortController();
      const running = initiator.createTransfer({ ...ask("read"), signal: abort.signal });
      if (running.post() === "inProgress") {
        abort.abort();
        await assert.rejects(running.completion, rejectsWith("TRANSFER_CANCELLED"));
        assert.equal(running.status, "failed");
      }
      // Nothing of this one ever moves.
      await assert.rejects(
        initiator.transfer({ ...ask("read"), deadlineMs: 20 }),
        rejectsWith("TRANSFER_DEADLINE"),
      );
      await initiator.transfer(ask("read"));
    },
  },
];

export const endingTwoProcessCases: readonly ConformanceCase[] = [
  {
    name: "two processes: a target that frees a region in the middle of a read or a write fails it",
    async run(context) {
      for (const operation of ["read", "write"] as const) {
        const ends = await processEnds(context, { bytes: 48_000_000, fill: 1 });
        const { initiator, child, peer, remote, ask } = ends;
        await peer.notify("warm");
        const gone = child.call({ do: "deregister", region: remote.id });
        const moved = initiator.transfer(ask(operation)).then(
          () => "done",
          (error: { code?: string }) => error.code,
        );
        await gone;
        const end = await moved;
        assert.ok(["done", "TRANSFER_REGION_GONE"].includes(end ?? ""), `${operation}: ${end}`);
        await assert.rejects(initiator.transfer(ask(operation)), rejectsWith("TRANSFER_REGION_GONE"));
      }
    },
  },
  {
    name: "two processes: a worker thread that is ended in the middle of its transfers takes nothing with it",
    async run(context) {
      const { module } = context.fixture;
      // The worker needs a module to load the transport from.
      if (module === undefined) return;
      const ends = await processEnds(context, { bytes: 1000, fill: 2 });
      await ends.child.call({
        do: "endWorker",
        module: module.specifier,
        export: module.export,
        options: module.options,
        memory: context.memory,
      });
      await ends.readsPattern(2);
    },
  },
  {
    name: "two processes: a process that exits in the middle of its transfers ends as it wished",
    async run(context) {
      const { child, remote, ask, initiator } = await processEnds(context, { bytes: 32_000_000 });
      await assert.rejects(child.call({ do: "exitInTransfer", region: remote.id, code: 7 }));
      await child.exited;
      assert.deepEqual(child.end(), { code: 7, signal: null });
      await assert.rejects(initiator.transfer(ask("read")), isGone);
    },
  },
];

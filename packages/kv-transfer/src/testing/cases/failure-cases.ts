import assert from "node:assert/strict";
import { describe } from "../../agent/descriptors.ts";
import { fillPattern, patternBytes } from "../pattern.ts";
import { accessOf } from "../region-access.ts";
import { rejectsWith } from "./transfer-cases.ts";
import type { ConformanceCase } from "../transport-suite.ts";

const whole = (bytes: number) => [{ offset: 0, bytes }];

/** What must not happen does not. */
export const failureCases: readonly ConformanceCase[] = [
  {
    name: "a stale epoch is refused and a fitting one is not",
    needsEpochs: true,
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(40_000, 10_000);
      await fillPattern(there, 1);
      const here = initiator.register(new Uint8Array(40_000));
      there.epochs?.bump(2);
      const read = (block: number, expected: bigint): Promise<unknown> =>
        initiator.transfer({
          operation: "read",
          peer,
          local: describe(here, whole(10_000)),
          remote: describe(remote, [{ offset: block * 10_000, bytes: 10_000 }]),
          epochs: [
            { region: remote.id, blocks: Uint32Array.of(block), expected: BigUint64Array.of(expected) },
          ],
        });
      await read(1, 0n);
      await read(2, 1n);
      await assert.rejects(read(2, 0n), rejectsWith("TRANSFER_STALE_EPOCH"));
      there.epochs?.bump(1);
      await assert.rejects(read(1, 0n), rejectsWith("TRANSFER_STALE_EPOCH"));
      await assert.rejects(
        initiator.transfer({
          operation: "write",
          peer,
          local: describe(here, whole(10_000)),
          remote: describe(remote, whole(10_000)),
          epochs: [{ region: remote.id, blocks: Uint32Array.of(0), expected: BigUint64Array.of(7n) }],
        }),
        rejectsWith("TRANSFER_STALE_EPOCH"),
      );
      assert.equal(
        Buffer.compare(await there.read(0, 10_000), patternBytes(1, 0, 10_000)),
        0,
        "a refused write leaves no byte",
      );
    },
  },
  {
    name: "a deregistered region is refused, here and there, and a second deregistration is nothing",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const { there, remote } = await allocate(1000);
      const here = initiator.register(new Uint8Array(1000));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(1000)),
        remote: describe(remote, whole(1000)),
      } as const;
      await initiator.transfer(ask);
      await there.deregister();
      await there.deregister();
      await assert.rejects(initiator.transfer(ask), rejectsWith("TRANSFER_REGION_GONE"));
      const next = await allocate(1000);
      const prepared = initiator.createTransfer({ ...ask, remote: describe(next.remote, whole(1000)) });
      await here.deregister();
      assert.throws(() => prepared.post(), rejectsWith("TRANSFER_REGION_GONE"));
      assert.throws(() => initiator.createTransfer(ask), rejectsWith("TRANSFER_WRONG_OWNER"));
    },
  },
  {
    name: "deregistering waits for the own transfers that use the region",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const bytes = 24_000_000;
      const { there, remote } = await allocate(bytes);
      await fillPattern(there, 6);
      const buffer = new Uint8Array(bytes);
      const here = initiator.register(buffer);
      const transfer = initiator.createTransfer({
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      });
      transfer.post();
      await here.deregister();
      assert.notEqual(transfer.status, "inProgress");
      await transfer.completion;
      assert.equal(Buffer.compare(buffer, patternBytes(6, 0, bytes)), 0);
    },
  },
  {
    name: "release in the middle resolves at quiescence: no byte lands afterwards",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const bytes = 16_000_000;
      const { there, remote } = await allocate(bytes);
      await fillPattern(there, 8);
      const buffer = new Uint8Array(bytes);
      const clean = new Uint8Array(bytes).fill(0xee);
      const here = initiator.register(buffer);
      for (let turns = 0; turns < 8; turns += 1) {
        const transfer = initiator.createTransfer({
          operation: "read",
          peer,
          local: describe(here, whole(bytes)),
          remote: describe(remote, whole(bytes)),
        });
        transfer.post();
        for (let i = 0; i < turns; i += 1) await new Promise((resolve) => setImmediate(resolve));
        await transfer.release();
        buffer.fill(0xee);
        // One full transfer behind it on the same link: whatever was still under way has arrived by then.
        const other = initiator.register(new Uint8Array(1000));
        await initiator.transfer({
          operation: "read",
          peer,
          local: describe(other, whole(1000)),
          remote: describe(remote, whole(1000)),
        });
        assert.equal(Buffer.compare(buffer, clean), 0, `late bytes after ${turns} turns`);
      }
    },
  },
  {
    name: "an aborted signal and a passed deadline end a transfer with their own codes",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const bytes = 48_000_000;
      const { remote } = await allocate(bytes);
      const here = initiator.register(new Uint8Array(bytes));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      } as const;
      await assert.rejects(
        initiator.transfer({ ...ask, signal: AbortSignal.abort() }),
        rejectsWith("TRANSFER_CANCELLED"),
      );
      const abort = new AbortController();
      const running = initiator.createTransfer({ ...ask, signal: abort.signal });
      if (running.post() === "inProgress") {
        abort.abort();
        await assert.rejects(running.completion, rejectsWith("TRANSFER_CANCELLED"));
        assert.equal(running.status, "failed");
      }
      const hurried = initiator.createTransfer({ ...ask, deadlineMs: 1 });
      if (hurried.post() === "inProgress") {
        const until = performance.now() + 3;
        while (performance.now() < until);
        await hurried.completion.catch(rejectsWith("TRANSFER_DEADLINE"));
      }
    },
  },
  {
    name: "posting a running transfer again is refused",
    async run({ pair }) {
      const { initiator, peer, allocate } = await pair();
      const bytes = 24_000_000;
      const { remote } = await allocate(bytes);
      const here = initiator.register(new Uint8Array(bytes));
      const transfer = initiator.createTransfer({
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      });
      if (transfer.post() === "inProgress")
        assert.throws(() => transfer.post(), rejectsWith("TRANSFER_REPOST"));
      await transfer.completion;
    },
  },
  {
    name: "a peer that came back under its name replaces the old one, whose handles are refused",
    async run({ agent, memory }) {
      const initiator = await agent();
      const first = await agent("phoenix");
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
      const second = await agent("phoenix");
      const fresh = await second.allocate({ bytes: 100, memory });
      await fillPattern(accessOf(second, fresh), 3);
      const newPeer = initiator.importMetadata(second.exportMetadata());
      assert.notEqual(newPeer.incarnation, oldPeer.incarnation);
      assert.ok(isLost);
      assert.throws(() => prepared.post(), rejectsWith("TRANSFER_PEER_LOST"));
      await initiator.transfer({
        operation: "read",
        peer: newPeer,
        local: describe(here, whole(100)),
        remote: describe(newPeer.region(fresh.id), whole(100)),
      });
      assert.equal(Buffer.compare(here.read(0, 100), patternBytes(3, 0, 100)), 0);
    },
  },
  {
    name: "a closed peer is noticed",
    async run({ pair }) {
      const { initiator, target, peer, allocate } = await pair();
      const { remote } = await allocate(100);
      const here = initiator.register(new Uint8Array(100));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(100)),
        remote: describe(remote, whole(100)),
      } as const;
      await initiator.transfer(ask);
      await target.close();
      await assert.rejects(initiator.transfer(ask), (error: { kind?: string }) => {
        assert.ok(error.kind === "unavailable" || error.kind === "notFound", String(error));
        return true;
      });
    },
  },
];

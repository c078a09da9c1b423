import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe } from "../../agent/descriptors.ts";
import type { RemoteRegion, Peer, TransferAgent } from "../../agent/transfer-agent.ts";
import { patternBytes } from "../pattern.ts";
import type { PeerProcess } from "../peer/peer-process.ts";
import { accessOf } from "../region-access.ts";
import { rejectsWith } from "./transfer-cases.ts";
import type { CaseContext, ConformanceCase } from "../transport-suite.ts";

const whole = (bytes: number) => [{ offset: 0, bytes }];
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function connected(
  context: CaseContext,
  bytes: number,
  fill: number,
  blockBytes?: number,
): Promise<{
  initiator: TransferAgent;
  child: PeerProcess;
  peer: Peer;
  remote: RemoteRegion;
  metadata: Uint8Array;
}> {
  const initiator = await context.agent();
  const child = await context.peerProcess("other-process");
  const id = (await child.call({
    do: "allocate",
    bytes,
    fill,
    memory: context.memory,
    ...(blockBytes === undefined ? {} : { blockBytes }),
  })) as number;
  const metadata = Buffer.from((await child.call({ do: "metadata" })) as string, "base64");
  const peer = initiator.importMetadata(metadata);
  return { initiator, child, peer, remote: peer.region(id), metadata };
}

/** The same between two processes, and what only two processes can do to each other. */
export const twoProcessCases: readonly ConformanceCase[] = [
  {
    name: "two processes: reads, writes and notifies",
    async run(context) {
      const bytes = 5_000_001;
      const { initiator, child, peer, remote } = await connected(context, bytes, 2);
      const here = initiator.register(new Uint8Array(bytes));
      await initiator.transfer({
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      });
      assert.equal(Buffer.compare(here.read(0, bytes), patternBytes(2, 0, bytes)), 0);
      here.write(0, patternBytes(77, 0, bytes));
      const seen = child.call({ do: "expect", peer: initiator.name, tag: "written", count: 1 });
      await initiator.transfer({
        operation: "write",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
        notify: { tag: "written" },
      });
      await seen;
      assert.equal(await child.call({ do: "digest", region: remote.id }), digest(patternBytes(77, 0, bytes)));
    },
  },
  {
    name: "two processes: a killed target fails what runs and its loss is told; nothing hangs",
    async run(context) {
      const bytes = 32_000_000;
      const { initiator, child, peer, remote } = await connected(context, bytes, 1);
      const here = initiator.register(new Uint8Array(bytes));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      } as const;
      await peer.notify("hello");
      const lost = new Promise<void>((resolve) => peer.onLost(() => resolve()));
      const running = initiator.createTransfer(ask);
      running.post();
      child.signal("SIGKILL");
      await running.completion.then(
        () => undefined,
        (error: { kind?: string }) => assert.equal(error.kind, "unavailable"),
      );
      await lost;
      assert.equal(peer.isCurrent, false);
      await assert.rejects(initiator.transfer(ask), rejectsWith("TRANSFER_PEER_LOST"));
    },
  },
  {
    name: "two processes: a target killed before the post is an error, not a hang",
    async run(context) {
      const { initiator, child, peer, remote } = await connected(context, 1000, 1);
      child.signal("SIGKILL");
      await child.exited;
      const here = initiator.register(new Uint8Array(1000));
      await assert.rejects(
        initiator.transfer({
          operation: "write",
          peer,
          local: describe(here, whole(1000)),
          remote: describe(remote, whole(1000)),
        }),
        (error: { kind?: string }) => {
          assert.ok(error.kind === "unavailable" || error.kind === "notFound", String(error));
          return true;
        },
      );
    },
  },
  {
    name: "two processes: a killed initiator leaves the target without a notification and serving",
    async run(context) {
      const bytes = 32_000_000;
      const target = await context.agent();
      const there = await target.allocate({ bytes, memory: context.memory });
      const child = await context.peerProcess("writer");
      const id = (await child.call({ do: "allocate", bytes, fill: 1, isRegistered: true })) as number;
      await child.call({ do: "import", blob: Buffer.from(target.exportMetadata()).toString("base64") });
      let isNotified = false;
      const abort = new AbortController();
      const wait = target.expect("writer", "done", 1, abort.signal).then(
        () => {
          isNotified = true;
        },
        () => undefined,
      );
      child.tell({ do: "write", peer: target.name, region: id, remote: there.id, bytes, notify: "done" });
      await new Promise((resolve) => setImmediate(resolve));
      child.signal("SIGKILL");
      await child.exited;
      const next = await context.peerProcess("writer");
      const small = (await next.call({ do: "allocate", bytes: 1000, fill: 5 })) as number;
      await next.call({ do: "import", blob: Buffer.from(target.exportMetadata()).toString("base64") });
      const again = target.expect("writer", "again", 1);
      await next.call({
        do: "write",
        peer: target.name,
        region: small,
        remote: there.id,
        bytes: 1000,
        notify: "again",
      });
      await again;
      assert.equal(Buffer.compare(await accessOf(target, there).read(0, 1000), patternBytes(5, 0, 1000)), 0);
      assert.equal(isNotified, false);
      abort.abort();
      await wait;
    },
  },
  {
    name: "two processes: a stopped target finishes one-sided work or runs into the deadline, and serves again when it goes on",
    async run(context) {
      const bytes = 4_000_000;
      const { initiator, child, peer, remote, metadata } = await connected(context, bytes, 4);
      const here = initiator.register(new Uint8Array(bytes));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      } as const;
      const stats = await initiator.transfer(ask);
      await child.stop();
      const stopped = initiator.transfer({ ...ask, deadlineMs: 300 });
      const isOneSided = stats.transports.every((name) =>
        ["shm", "cma", "file", "cuda", "s3"].includes(name),
      );
      if (isOneSided) await stopped;
      else await assert.rejects(stopped, rejectsWith("TRANSFER_DEADLINE"));
      // Who is not connected yet can't be while it stands still, and does not wait longer than it said.
      const stranger = await context.agent();
      const seen = stranger.importMetadata(metadata);
      const local = stranger.register(new Uint8Array(1000));
      await assert.rejects(
        stranger.transfer({
          operation: "read",
          peer: seen,
          local: describe(local, whole(1000)),
          remote: describe(seen.region(remote.id), whole(1000)),
          deadlineMs: 200,
        }),
        rejectsWith("TRANSFER_DEADLINE"),
      );
      child.signal("SIGCONT");
      assert.equal(peer.isCurrent, true);
      await initiator.transfer(ask);
      assert.equal(Buffer.compare(here.read(0, bytes), patternBytes(4, 0, bytes)), 0);
    },
  },
  {
    name: "two processes: blocks that are reused all the time never come torn or foreign",
    needsEpochs: true,
    async run(context) {
      const blockBytes = 8192;
      const { initiator, child, peer, remote } = await connected(context, blockBytes, 1, blockBytes);
      const buffer = Buffer.alloc(blockBytes);
      const head = Buffer.alloc(8);
      const wanted = Buffer.alloc(blockBytes);
      const here = initiator.register(buffer);
      const first = initiator.register(head);
      const look = initiator.createTransfer({
        operation: "read",
        peer,
        local: describe(first, whole(8)),
        remote: describe(remote, whole(8)),
      });
      const local = describe(here, whole(blockBytes));
      const there = describe(remote, whole(blockBytes));
      await child.call({ do: "churn", region: remote.id, blockBytes });
      let accepted = 0;
      let stale = 0;
      // 100,000 rounds where a second holds a good part of them, else as many as it holds: transports differ a hundredfold.
      const start = performance.now();
      const isOver = (): boolean => {
        const elapsedMs = performance.now() - start;
        const rounds = accepted + stale;
        const isSlow = elapsedMs > 1000 && rounds < elapsedMs * 20;
        return rounds >= 100_000 || elapsedMs > 60_000 || (isSlow && accepted > 0);
      };
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
          stale += 1;
          continue;
        }
        accepted += 1;
        wanted.fill(Number(epoch % 251n));
        wanted.writeBigUInt64LE(epoch);
        assert.equal(Buffer.compare(buffer, wanted), 0, `torn or foreign bytes at epoch ${epoch}`);
      }
      await child.call({ do: "stopChurn" });
      assert.ok(accepted > 0, `none of ${stale} rounds found the block at rest`);
    },
  },
  {
    name: "two processes: a target that frees a region in the middle of a read fails the read",
    async run(context) {
      const bytes = 48_000_000;
      const { initiator, child, peer, remote } = await connected(context, bytes, 1);
      const here = initiator.register(new Uint8Array(bytes));
      const ask = {
        operation: "read",
        peer,
        local: describe(here, whole(bytes)),
        remote: describe(remote, whole(bytes)),
      } as const;
      await peer.notify("warm");
      const gone = child.call({ do: "deregister", region: remote.id });
      const read = initiator.transfer(ask).then(
        () => "done",
        (error: { code?: string }) => error.code,
      );
      await gone;
      assert.ok(["done", "TRANSFER_REGION_GONE"].includes((await read) ?? ""), String(await read));
      await assert.rejects(initiator.transfer(ask), rejectsWith("TRANSFER_REGION_GONE"));
    },
  },
];

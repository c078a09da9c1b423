import { afterEach, describe, expect, it } from "vitest";
import {
  createAgent,
  describe as pieces,
  loopback,
  sharedMemory,
  tcp,
  type RunBatch,
  type TransferAgent,
  type TransferAgentOptions,
  type TransferRequest,
} from "../index.ts";
import { type FaultPlan, faulty, fillPattern, patternBytes } from "../testing/index.ts";
import { advertising, openTcpProxy } from "../testing/tcp-proxy.ts";
import { createBatchBuilder } from "./descriptors.ts";
import { joinBatches, restOf } from "./batch-rest.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});
const open = async (options: TransferAgentOptions): Promise<TransferAgent> => {
  const agent = await createAgent(options);
  closers.push(() => agent.close());
  return agent;
};

const pieceBytes = 900;
const count = 100;
const list = Array.from({ length: count }, (_, i) => ({ offset: i * 1000, bytes: pieceBytes }));

/** Remote offsets of the pieces of a batch. */
function piecesOf(batch: RunBatch): number[] {
  const offsets: number[] = [];
  for (let run = 0; run < batch.runs; run += 1)
    for (let k = 0; k < (batch.pieces[run] as number); k += 1)
      offsets.push((batch.remoteOffset[run] as number) + k * (batch.remoteStride[run] as number));
  return offsets;
}

async function twoWays(first: FaultPlan, second: FaultPlan = {}, blockBytes?: number) {
  const initiator = await open({ transports: [faulty(loopback(), first), faulty(tcp(), second)] });
  const target = await open({ transports: [loopback(), tcp()] });
  const there = target.register(new Uint8Array(count * 1000), blockBytes === undefined ? {} : { blockBytes });
  fillPattern(there, 3);
  const peer = initiator.importMetadata(target.exportMetadata());
  const buffer = new Uint8Array(count * 1000);
  const here = initiator.register(buffer);
  const ask: TransferRequest = {
    operation: "read",
    peer,
    local: pieces(here, list),
    remote: pieces(peer.region(there.id), list),
  };
  const isRight = (): boolean =>
    list.every(
      ({ offset }) =>
        Buffer.compare(buffer.subarray(offset, offset + pieceBytes), patternBytes(3, offset, pieceBytes)) ===
        0,
    );
  return { initiator, target, there, peer, buffer, ask, isRight };
}

describe("failover", () => {
  for (const kind of ["failAtPost", "failAtCompletion", "partial", "cut"] as const)
    it(`goes on over the next transport after ${kind}, with the right bytes and one notification`, async () => {
      const { initiator, target, ask, isRight } = await twoWays({
        post: (number) => (number === 0 ? { kind } : undefined),
      });
      const stats = await initiator.transfer({ ...ask, notify: { tag: "done" } });
      expect(stats).toMatchObject({
        failovers: 1,
        transports: kind === "partial" ? ["loopback", "tcp"] : ["tcp"],
      });
      expect(isRight()).toBe(true);
      await target.expect(initiator.name, "done", 1);
      const seen: string[] = [];
      const abort = new AbortController();
      await initiator.peer(target.name)?.notify("last");
      for await (const message of target.notifications(abort.signal)) {
        seen.push(message.tag);
        if (message.tag === "last") break;
      }
      expect(seen).toEqual(["last"]);
    });

  it("each piece arrives by one way: the second carries what the first had not brought", async () => {
    const second: number[] = [];
    const { initiator, ask, isRight } = await twoWays(
      { post: () => ({ kind: "partial" }) },
      {
        post(_number, work) {
          second.push(...piecesOf(work.batch));
          return undefined;
        },
      },
    );
    const stats = await initiator.transfer(ask);
    expect(stats).toMatchObject({ failovers: 1, transports: ["loopback", "tcp"], bytes: count * pieceBytes });
    expect(second).toEqual(list.slice(count / 2).map(({ offset }) => offset));
    expect(isRight()).toBe(true);
  });

  it("a block that is reused between the two ways makes the whole transfer stale", async () => {
    const { initiator, there, peer, ask } = await twoWays(
      { post: () => ({ kind: "partial" }) },
      {
        post() {
          // Block 0 came over the first way and is done.
          there.epochs?.bump(0);
          return undefined;
        },
      },
      1000,
    );
    const blocks = Uint32Array.from(list.keys());
    await expect(
      initiator.transfer({
        ...ask,
        epochs: [{ region: peer.region(there.id).id, blocks, expected: new BigUint64Array(blocks.length) }],
      }),
    ).rejects.toMatchObject({ code: "TRANSFER_STALE_EPOCH" });
  });

  for (const dataPath of ["auto", "typescript"] as const)
    it(`a TCP connection (${dataPath}) that is cut in the middle of its data: shared memory brings the rest`, async () => {
      const bytes = 65_536;
      const blocks = 64;
      let port = 0;
      const proxy = await openTcpProxy({ to: () => port, cutAfterBytes: (blocks / 2) * bytes });
      closers.push(() => proxy.close());
      const target = await open({
        transports: [advertising(tcp({ dataPath }), proxy.port, (real) => (port = real)), sharedMemory()],
      });
      const there = await target.allocate({ bytes: blocks * bytes });
      fillPattern(there, 5);
      const rest: number[] = [];
      const plan: FaultPlan = {
        post(_number, work) {
          rest.push(...piecesOf(work.batch));
          return undefined;
        },
      };
      const initiator = await open({ transports: [tcp({ dataPath }), faulty(sharedMemory(), plan)] });
      const peer = initiator.importMetadata(target.exportMetadata());
      const here = initiator.register(new Uint8Array(blocks * bytes));
      // Reversed at one side, so that no two of them are one piece.
      const remote = Array.from({ length: blocks }, (_, i) => ({ offset: i * bytes, bytes }));
      const stats = await initiator.transfer({
        operation: "read",
        peer,
        local: pieces(here, remote.toReversed()),
        remote: pieces(peer.region(there.id), remote),
      });
      expect(stats).toMatchObject({ failovers: 1, transports: ["tcp", "shm"] });
      for (const { offset } of remote)
        expect(
          Buffer.compare(here.read((blocks - 1) * bytes - offset, bytes), patternBytes(5, offset, bytes)),
        ).toBe(0);
      // At most what lay in the kernel's buffers goes twice.
      expect(rest.length).toBeLessThan(blocks);
      expect(rest).toEqual(remote.slice(blocks - rest.length).map(({ offset }) => offset));
    });

  it("says what failed when there is no other way", async () => {
    const { initiator, ask } = await twoWays({}, { post: () => ({ kind: "failAtPost" }) });
    await expect(initiator.transfer({ ...ask, require: { transports: ["tcp"] } })).rejects.toMatchObject({
      code: "TRANSFER_TRANSPORT_FAILED",
      kind: "unavailable",
    });
  });

  it("lets a failed transport rest and says so", async () => {
    const { initiator, peer, ask } = await twoWays({ post: () => ({ kind: "failAtPost" }) });
    await initiator.transfer(ask);
    const told = initiator.explain(peer);
    expect(told.chosen).toBe("tcp");
    expect(told.candidates[0]).toMatchObject({
      transport: "loopback",
      reach: { isReachable: false, reason: expect.stringContaining("cooling") as string },
    });
  });
});

describe("a split network", () => {
  it("data down, messages up: the peer stays, its data takes the next way", async () => {
    const { initiator, target, peer, ask, isRight } = await twoWays({ post: () => ({ kind: "failAtPost" }) });
    for (let round = 0; round < 3; round += 1) await initiator.transfer(ask);
    expect(isRight()).toBe(true);
    await peer.notify("alive");
    await target.expect(initiator.name, "alive", 1);
    expect(peer.isCurrent).toBe(true);
  });

  it("messages down, data up: data keeps its way, messages take the next, each once and in order", async () => {
    const { initiator, target, peer, ask, isRight } = await twoWays({ notify: () => ({ kind: "fail" }) });
    const sent = Array.from({ length: 20 }, (_, i) => peer.notify("n", Uint8Array.of(i)));
    const stats = await initiator.transfer(ask);
    expect(stats).toMatchObject({ transports: ["loopback"], failovers: 0 });
    expect(isRight()).toBe(true);
    const got: number[] = [];
    for await (const message of target.notifications()) {
      got.push(message.payload[0] as number);
      if (got.length === sent.length) break;
    }
    await Promise.all(sent);
    expect(got).toEqual(sent.map((_, i) => i));
  });
});

it("the rest of a batch is its pieces from the first that is not whole, and never nothing", () => {
  const builder = createBatchBuilder(4);
  builder.add(1, 0, 10, 2, 0, 20, 5, 4);
  builder.add(1, 100, 7, 3, 50, 7, 7, 1);
  const batch = builder.finish();
  expect(restOf(batch, 0)).toBe(batch);
  expect(restOf(batch, 4)).toBe(batch);
  const two = restOf(batch, 12);
  expect(piecesOf(two)).toEqual([40, 60, 50]);
  expect([two.totalBytes, two.totalPieces, two.localOffset[0]]).toEqual([17, 3, 20]);
  expect(piecesOf(restOf(batch, 20))).toEqual([50]);
  expect(piecesOf(restOf(batch, 27))).toEqual([50]);
  expect(piecesOf(joinBatches([two, batch]))).toEqual([...piecesOf(two), ...piecesOf(batch)]);
});

import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import {
  createAgent,
  describe as pieces,
  loopback,
  sharedMemory,
  tcp,
  TransferError,
  type TransferAgent,
  type TransferAgentOptions,
} from "../index.ts";
import { createByteReader } from "../byte-codec.ts";
import { frameHeader, frameType } from "../stream/frame.ts";
import { type FaultPlan, faulty } from "../testing/index.ts";
import { decodeMetadata, encodeMetadata } from "./metadata.ts";

const agents: TransferAgent[] = [];
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.close()));
});
const open = async (options: TransferAgentOptions): Promise<TransferAgent> => {
  const agent = await createAgent(options);
  agents.push(agent);
  return agent;
};
const whole = (bytes: number) => [{ offset: 0, bytes }];

async function twoWays(plan: FaultPlan) {
  const initiator = await open({ transports: [faulty(loopback(), plan), tcp()] });
  const target = await open({ transports: [loopback(), tcp()] });
  const there = target.register(new Uint8Array(100_000));
  const peer = initiator.importMetadata(target.exportMetadata());
  const buffer = new Uint8Array(100_000);
  const here = initiator.register(buffer);
  const list = Array.from({ length: 100 }, (_, i) => ({ offset: i * 1000, bytes: 900 }));
  return {
    initiator,
    target,
    peer,
    buffer,
    ask: {
      operation: "read" as const,
      peer,
      local: pieces(here, list),
      remote: pieces(peer.region(there.id), list),
    },
  };
}

describe("cancelling", () => {
  it("ends a batch that never starts at its deadline", async () => {
    const { initiator, ask } = await twoWays({ post: () => ({ kind: "drop" }) });
    await expect(initiator.transfer({ ...ask, deadlineMs: 20 })).rejects.toMatchObject({
      code: "TRANSFER_DEADLINE",
    });
  });

  it("a released transfer whose start was delayed never touches the buffer", async () => {
    let start: (() => void) | undefined;
    const until = new Promise<void>((resolve) => {
      start = resolve;
    });
    const { initiator, target, buffer, ask } = await twoWays({ post: () => ({ kind: "delay", until }) });
    target.regions[0]?.write(0, new Uint8Array(1000).fill(1));
    const transfer = initiator.createTransfer(ask);
    expect(transfer.post()).toBe("inProgress");
    await initiator.peers[0]?.notify("linked");
    await transfer.release();
    expect(transfer.status).toBe("released");
    start?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(buffer.every((byte) => byte === 0)).toBe(true);
  });
});

it("duplicated and failed notifications arrive once, in order", async () => {
  const { initiator, target, peer } = await twoWays({
    notify: (number) =>
      number >= 20 ? { kind: "fail" } : number % 3 === 0 ? { kind: "duplicate" } : undefined,
  });
  const sent = Promise.all(Array.from({ length: 50 }, (_, i) => peer.notify("n", Uint8Array.of(i))));
  const got: number[] = [];
  for await (const message of target.notifications()) {
    got.push(message.payload[0] as number);
    if (got.length === 50) break;
  }
  await sent;
  expect(got).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(initiator.peers.length).toBe(1);
});

describe("a shared secret", () => {
  const secret = randomBytes(32);
  it("signs metadata and connections; who lacks it is refused", async () => {
    const a = await open({ transports: [tcp()], secret });
    const b = await open({ transports: [tcp()], secret });
    const there = b.register(new Uint8Array(10));
    const peer = a.importMetadata(b.exportMetadata());
    const here = a.register(new Uint8Array(10));
    await a.transfer({
      operation: "read",
      peer,
      local: pieces(here, whole(10)),
      remote: pieces(peer.region(there.id), whole(10)),
    });
    const stranger = await open({ transports: [tcp()], secret: randomBytes(32) });
    expect(() => stranger.importMetadata(b.exportMetadata())).toThrow(
      expect.objectContaining({ code: "TRANSFER_UNAUTHORIZED" }),
    );
    const nobody = await open({ transports: [tcp()] });
    const through = nobody.importMetadata(b.exportMetadata());
    const local = nobody.register(new Uint8Array(10));
    await expect(
      nobody.transfer({
        operation: "read",
        peer: through,
        local: pieces(local, whole(10)),
        remote: pieces(through.region(there.id), whole(10)),
      }),
    ).rejects.toMatchObject({ code: "TRANSFER_UNAUTHORIZED" });
  });
});

describe("metadata", () => {
  it("damage of any kind is a TransferError and nothing else", async () => {
    const agent = await open({ transports: [tcp(), loopback()] });
    for (let i = 0; i < 20; i += 1) agent.register(new Uint8Array(100), { blockBytes: 10 });
    const blob = agent.exportMetadata();
    fc.assert(
      fc.property(
        fc.nat(blob.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (at, mask, isCut) => {
          const damaged = isCut
            ? blob.subarray(0, at)
            : Uint8Array.from(blob, (byte, i) => (i === at ? byte ^ mask : byte));
          try {
            decodeMetadata(damaged, undefined);
          } catch (error) {
            expect(TransferError.isInstance(error)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(() => decodeMetadata(Uint8Array.from([...blob, 0]), undefined)).toThrow(TransferError);
  });

  it("holds 50,000 regions", () => {
    const regions = Array.from({ length: 50_000 }, (_, id) => ({
      id,
      key: BigInt(id),
      bytes: 4096,
      memory: "host" as const,
      blockBytes: 0,
      exported: new Map([["tcp", new Uint8Array(0)]]),
    }));
    const blob = encodeMetadata(
      { name: "many", incarnation: "0".repeat(32), connections: new Map(), regions },
      undefined,
    );
    expect(decodeMetadata(blob, undefined).regions.length).toBe(50_000);
  });

  it("a partial blob before the full one is fine; a changed region under the same incarnation is not", async () => {
    const agent = await open({ transports: [loopback()] });
    const other = await open({ transports: [loopback()] });
    const [a, b] = [agent.register(new Uint8Array(10)), agent.register(new Uint8Array(20))];
    const peer = other.importMetadata(agent.exportMetadata({ regions: [b] }));
    expect(peer.regions.map((region) => region.id)).toEqual([b.id]);
    expect(other.importMetadata(agent.exportMetadata())).toBe(peer);
    expect(peer.regions.length).toBe(2);
    const forged = encodeMetadata(
      {
        name: agent.name,
        incarnation: agent.incarnation,
        connections: new Map(),
        regions: [{ id: a.id, key: 1n, bytes: 10, memory: "host", blockBytes: 0, exported: new Map() }],
      },
      undefined,
    );
    expect(() => other.importMetadata(forged)).toThrow(
      expect.objectContaining({ code: "TRANSFER_METADATA_INVALID" }),
    );
  });
});

it("a hostile connection can't hurt the target: garbage, bombs, strangers and wrong keys", async () => {
  const target = await open({ transports: [tcp()] });
  const there = target.register(new Uint8Array(1000).fill(5));
  const initiator = await open({ transports: [tcp()] });
  const blob = target.exportMetadata();
  const peer = initiator.importMetadata(blob);
  const info = decodeMetadata(blob, undefined).connections.get("tcp") as Uint8Array;
  const reader = createByteReader(info, "address");
  const [host, port] = [reader.text(100), reader.u32()];
  const bombs = [
    randomBytes(4096),
    frameHeader(frameType.hello, 0, 0, 0xffff_ffff, 0),
    frameHeader(frameType.data, 0, 1, 0, 0xffff_ffff),
    Buffer.concat([frameHeader(frameType.read, 0, 1, 8, 0), Buffer.alloc(8, 0xff)]),
    Buffer.alloc(16),
  ];
  for (const bomb of bombs)
    await new Promise<void>((resolve) => {
      const socket = connect(port, host, () => socket.write(bomb));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      socket.resume();
    });
  const forged = decodeMetadata(blob, undefined);
  const liar = await open({ transports: [tcp()] });
  const seen = liar.importMetadata(
    encodeMetadata(
      {
        ...forged,
        regions: forged.regions.map((region) => ({ ...region, key: region.key ^ 1n, bytes: 10_000 })),
      },
      undefined,
    ),
  );
  const local = liar.register(new Uint8Array(1000));
  await expect(
    liar.transfer({
      operation: "read",
      peer: seen,
      local: pieces(local, whole(10)),
      remote: pieces(seen.region(there.id), whole(10)),
    }),
  ).rejects.toMatchObject({ code: "TRANSFER_REGION_GONE" });
  const here = initiator.register(new Uint8Array(1000));
  await initiator.transfer({
    operation: "read",
    peer,
    local: pieces(here, whole(1000)),
    remote: pieces(peer.region(there.id), whole(1000)),
  });
  expect(here.read(0, 1000).every((byte) => byte === 5)).toBe(true);
});

describe("memory that the runtime may take away", () => {
  it("resizable buffers are refused, detached ones are an error, not a crash", async () => {
    const agent = await open({ transports: [loopback()] });
    const peer = agent.importMetadata(agent.exportMetadata());
    const Resizable = ArrayBuffer as unknown as new (
      bytes: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    expect(() => agent.register(new Uint8Array(new Resizable(10, { maxByteLength: 20 })))).toThrow(
      expect.objectContaining({ code: "TRANSFER_OPTION_INVALID" }),
    );
    const buffer = new Uint8Array(10);
    const region = agent.register(buffer);
    agent.importMetadata(agent.exportMetadata());
    structuredClone(buffer, { transfer: [buffer.buffer] });
    const here = agent.register(new Uint8Array(10));
    await expect(
      agent.transfer({
        operation: "read",
        peer,
        local: pieces(here, whole(10)),
        remote: pieces(peer.region(region.id), whole(10)),
      }),
    ).rejects.toMatchObject({ code: "TRANSFER_REGION_GONE" });
  });
});

it("a directory that can't be used, or that others may enter, is an error that names it", async () => {
  await expect(
    createAgent({ transports: [sharedMemory({ directory: "/dev/null/stator" })] }),
  ).rejects.toMatchObject({ code: "TRANSFER_PATH_UNAVAILABLE", data: { directory: "/dev/null/stator" } });
  await expect(createAgent({ transports: [sharedMemory({ directory: "/tmp" })] })).rejects.toMatchObject({
    code: "TRANSFER_PATH_UNAVAILABLE",
  });
});

it("closing an agent ends what runs, and everything afterwards is refused", async () => {
  const { initiator, ask } = await twoWays({ post: () => ({ kind: "drop" }) });
  const running = initiator.transfer(ask);
  const ended = expect(running).rejects.toMatchObject({ code: "TRANSFER_CLOSED" });
  await initiator.close();
  await ended;
  expect(() => initiator.register(new Uint8Array(1))).toThrow(
    expect.objectContaining({ code: "TRANSFER_CLOSED" }),
  );
});

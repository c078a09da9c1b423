import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import {
  createAgent,
  createHandoffSink,
  createHandoffSource,
  sharedMemory,
  tcp,
  type TransferAgent,
  type Transport,
} from "../index.ts";
import { faulty, patternBytes, type PeerProcess, spawnPeer } from "../testing/index.ts";
import { advertising, openTcpProxy, type TcpProxyOptions } from "../testing/tcp-proxy.ts";

// Rows 13 to 16 of the fault matrix: what dies before, during and after a transfer of KV between two processes.
const module = fileURLToPath(new URL("../index.ts", import.meta.url));
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});
const openAgent = async (...transports: Transport[]): Promise<TransferAgent> => {
  const agent = await createAgent({ transports });
  closers.push(() => agent.close());
  return agent;
};
const openPeer = async (name: string, options?: unknown): Promise<PeerProcess> => {
  const peer = await spawnPeer();
  closers.push(() => peer.close());
  await peer.call({
    do: "open",
    name,
    module,
    transports: [options === undefined ? { export: "tcp" } : { export: "tcp", options }],
  });
  return peer;
};
const never = new AbortController().signal;
const all = { lacks: () => true, signal: never };

const proxy = async (options: TcpProxyOptions): Promise<{ readonly port: number }> => {
  const opened = await openTcpProxy(options);
  closers.push(() => opened.close());
  return opened;
};

describe("a handoff between two processes", () => {
  it("row 13: a source that died before the transfer is an error at once", async () => {
    const source = await openPeer("prefill");
    const opaque = Buffer.from(
      (await source.call({ do: "offer", blocks: 8, bytes: 100_000, leaseMs: 10_000 })) as string,
      "base64",
    );
    source.signal("SIGKILL");
    await source.exited;
    const sink = createHandoffSink({ agent: await openAgent(tcp()) });
    await expect(sink.fetch(opaque, all)).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("row 14: a source that is killed in the middle gives nothing", async () => {
    const source = await openPeer("prefill");
    const opaque = Buffer.from(
      (await source.call({ do: "offer", blocks: 64, bytes: 1_000_000, leaseMs: 10_000 })) as string,
      "base64",
    );
    const sink = createHandoffSink({ agent: await openAgent(tcp()) });
    const fetched = sink.fetch(opaque, { ...all, lacks: (index) => index >= 0 });
    await new Promise((resolve) => setImmediate(resolve));
    source.signal("SIGKILL");
    await fetched.then(
      (blocks) =>
        blocks.forEach((bytes, i) =>
          expect(Buffer.compare(bytes as Uint8Array, patternBytes(i, 0, 1_000_000))).toBe(0),
        ),
      (error: unknown) => expect(error).toMatchObject({ kind: "unavailable" }),
    );
  });

  for (const share of [0.1, 0.5, 0.9])
    it(`row 14: a connection cut at ${share * 100} % of the bytes gives nothing, and the source frees its blocks`, async () => {
      const blocks = 20;
      const bytes = 200_000;
      const source = await openAgent(tcp());
      let port = 0;
      const { port: front } = await proxy({ to: () => port, cutAfterBytes: share * blocks * bytes });
      await source.close();
      // The source advertises the proxy's port as a NAT would.
      const behind = await createAgent({
        name: "prefill",
        transports: [advertising(tcp(), front, (real) => (port = real))],
      });
      closers.push(() => behind.close());
      const content = Array.from({ length: blocks }, (_, i) => ({
        key: new Uint8Array(32).fill(i),
        bytes: patternBytes(i, 0, bytes),
      }));
      const offer = await createHandoffSource({ agent: behind }).offer({ blocks: content, leaseMs: 2000 });
      const sink = createHandoffSink({ agent: await openAgent(tcp()) });
      await expect(sink.fetch(offer.opaque, all)).rejects.toMatchObject({ kind: "unavailable" });
      expect(["released", "expired"]).toContain(await offer.ended);
      expect(behind.heldLeases).toBe(0);
    });

  it("row 14: one flipped bit in the data gives nothing", async () => {
    let port = 0;
    const { port: front } = await proxy({ to: () => port, flipAtByte: 1_500_000 });
    const source = await createAgent({
      name: "prefill",
      transports: [advertising(tcp(), front, (real) => (port = real))],
    });
    closers.push(() => source.close());
    const content = Array.from({ length: 20 }, (_, i) => ({
      key: new Uint8Array(32).fill(i),
      bytes: patternBytes(i, 0, 200_000),
    }));
    const offer = await createHandoffSource({ agent: source }).offer({ blocks: content, leaseMs: 5000 });
    const sink = createHandoffSink({ agent: await openAgent(tcp()) });
    await expect(sink.fetch(offer.opaque, all)).rejects.toMatchObject({ code: "TRANSFER_CHECKSUM" });
    expect(await offer.ended).toBe("released");
  });

  it("row 15: a source that dies after the transfer changes nothing", async () => {
    const source = await openPeer("prefill");
    const opaque = Buffer.from(
      (await source.call({ do: "offer", blocks: 8, bytes: 100_000, leaseMs: 10_000 })) as string,
      "base64",
    );
    const sink = createHandoffSink({ agent: await openAgent(tcp()) });
    const blocks = await sink.fetch(opaque, all);
    source.signal("SIGKILL");
    await source.exited;
    blocks.forEach((bytes, i) =>
      expect(Buffer.compare(bytes as Uint8Array, patternBytes(i, 0, 100_000))).toBe(0),
    );
  });

  it("row 16: a sink that dies leaves the source free after its lease, and a stopped one too", async () => {
    const agent = await openAgent(tcp());
    const source = createHandoffSource({ agent });
    const content = Array.from({ length: 64 }, (_, i) => ({
      key: new Uint8Array(32).fill(i),
      bytes: new Uint8Array(1_000_000),
    }));
    for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
      const offer = await source.offer({ blocks: content, leaseMs: 300 });
      const sink = await openPeer(`decode-${signal}`);
      const fetching = sink
        .call({ do: "fetch", opaque: Buffer.from(offer.opaque).toString("base64") })
        .catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
      sink.signal(signal);
      expect(["expired", "released"]).toContain(await offer.ended);
      expect(agent.heldLeases).toBe(0);
      if (signal === "SIGSTOP") sink.signal("SIGKILL");
      await fetching;
    }
  });

  it("a lease that is shorter than the transfer is renewed while it runs", async () => {
    const source = await openAgent(tcp());
    const content = [{ key: new Uint8Array(32), bytes: patternBytes(1, 0, 1000) }];
    const offer = await createHandoffSource({ agent: source }).offer({ blocks: content, leaseMs: 900 });
    let renewals = 0;
    let go: (() => void) | undefined;
    // The data starts only after four renewals: later than the lease without them.
    const until = new Promise<void>((resolve) => {
      go = resolve;
    });
    const plan = {
      post: () => ({ kind: "delay", until }) as const,
      notify(_number: number, message: { readonly tag: string }) {
        if (message.tag === "renew" && (renewals += 1) === 4) go?.();
        return undefined;
      },
    };
    const sink = createHandoffSink({ agent: await openAgent(faulty(tcp(), plan)) });
    const blocks = await sink.fetch(offer.opaque, all);
    expect(blocks.length).toBe(1);
    expect(renewals).toBeGreaterThanOrEqual(4);
  });

  it("staged in shared memory it crosses without the source's help", async () => {
    const agent = await openAgent(sharedMemory());
    const content = Array.from({ length: 5 }, (_, i) => ({
      key: new Uint8Array(32).fill(i),
      bytes: patternBytes(i, 0, 10_000),
    }));
    const offer = await createHandoffSource({ agent, staging: "shared" }).offer({
      blocks: content,
      leaseMs: 5000,
    });
    const sink = createHandoffSink({
      agent: await openAgent(sharedMemory()),
      require: { transports: ["shm"] },
    });
    const blocks = await sink.fetch(offer.opaque, { lacks: (index) => index !== 2, signal: never });
    expect(blocks[2]).toBeUndefined();
    expect(Buffer.compare(blocks[4] as Uint8Array, content[4]?.bytes as Uint8Array)).toBe(0);
    expect(await offer.ended).toBe("released");
  });
});

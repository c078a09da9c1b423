import { createHash, randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import {
  createAgent,
  createHandoffSink,
  createHandoffSource,
  loopback,
  tcp,
  type TransferAgent,
  type Transport,
} from "../index.ts";

const agents: TransferAgent[] = [];
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.close()));
});
const open = async (...transports: Transport[]): Promise<TransferAgent> => {
  const agent = await createAgent({ transports });
  agents.push(agent);
  return agent;
};
const makeBlocks = (count: number, bytes = 10_000) =>
  Array.from({ length: count }, () => {
    const content = randomBytes(bytes);
    return { key: createHash("sha256").update(content).digest(), bytes: content };
  });
const never = new AbortController().signal;

describe.each([
  ["tcp", () => tcp()],
  ["loopback", () => loopback()],
])("a handoff over %s", (_name, transport) => {
  it("brings exactly the lacked blocks and frees the source", async () => {
    const source = await open(transport());
    const sink = await open(transport());
    const blocks = makeBlocks(20);
    const offer = await createHandoffSource({ agent: source }).offer({ blocks, leaseMs: 10_000 });
    const got = await createHandoffSink({ agent: sink }).fetch(offer.opaque, {
      lacks: (index) => index % 3 === 0,
      signal: never,
    });
    expect(got.length).toBe(20);
    got.forEach((bytes, i) => {
      if (i % 3 === 0) expect(Buffer.compare(bytes as Uint8Array, blocks[i]?.bytes as Uint8Array)).toBe(0);
      else expect(bytes).toBeUndefined();
    });
    expect(await offer.ended).toBe("released");
    expect(source.heldLeases).toBe(0);
  });
  it("fails with TRANSFER_LEASE_GONE after the lease ended", async () => {
    const source = await open(transport());
    const sink = await open(transport());
    const offer = await createHandoffSource({ agent: source }).offer({ blocks: makeBlocks(2), leaseMs: 10 });
    expect(await offer.ended).toBe("expired");
    await expect(
      createHandoffSink({ agent: sink }).fetch(offer.opaque, { lacks: () => true, signal: never }),
    ).rejects.toMatchObject({ code: "TRANSFER_LEASE_GONE" });
  });
  it("refuses blocks that changed under the lease", async () => {
    const source = await open(transport());
    const sink = await open(transport());
    const blocks = makeBlocks(3);
    const offer = await createHandoffSource({ agent: source }).offer({ blocks, leaseMs: 10_000 });
    (blocks[1] as { bytes: Buffer }).bytes[5] = ((blocks[1] as { bytes: Buffer }).bytes[5] as number) ^ 1;
    await expect(
      createHandoffSink({ agent: sink }).fetch(offer.opaque, { lacks: () => true, signal: never }),
    ).rejects.toMatchObject({ code: "TRANSFER_CHECKSUM" });
    expect(await offer.ended).toBe("released");
  });
  it("hands over an empty set of blocks", async () => {
    const source = await open(transport());
    const sink = await open(transport());
    const offer = await createHandoffSource({ agent: source }).offer({ blocks: [], leaseMs: 10_000 });
    expect(
      await createHandoffSink({ agent: sink }).fetch(offer.opaque, { lacks: () => true, signal: never }),
    ).toEqual([]);
    expect(await offer.ended).toBe("released");
  });
});

it("a handoff from a source that died fails with TRANSFER_PEER_LOST", async () => {
  const source = await open(tcp());
  const sink = await open(tcp());
  const offer = await createHandoffSource({ agent: source }).offer({
    blocks: makeBlocks(3),
    leaseMs: 10_000,
  });
  await source.close();
  await expect(
    createHandoffSink({ agent: sink }).fetch(offer.opaque, { lacks: () => true, signal: never }),
  ).rejects.toMatchObject({ code: "TRANSFER_PEER_LOST", kind: "unavailable" });
});

it("an aborted fetch ends with the caller's cancellation and releases the source", async () => {
  const source = await open(tcp());
  const sink = await open(tcp());
  const offer = await createHandoffSource({ agent: source }).offer({
    blocks: makeBlocks(40, 1_000_000),
    leaseMs: 10_000,
  });
  const abort = new AbortController();
  const fetched = createHandoffSink({ agent: sink }).fetch(offer.opaque, {
    lacks: () => true,
    signal: abort.signal,
  });
  setImmediate(() => abort.abort());
  await expect(fetched).rejects.toMatchObject({ kind: "cancelled" });
  expect(await offer.ended).toBe("released");
});

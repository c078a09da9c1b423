import { createHash, randomBytes } from "node:crypto";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { TransferDirection, TransferService } from "@stator/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { createAgent } from "../agent/create-agent.ts";
import type { TransferAgent } from "../agent/transfer-agent.ts";
import { hostTier } from "../tiers/host-tier.ts";
import type { TierBlock, TierChange } from "../tiers/kv-tier.ts";
import { sharedTier } from "../tiers/shared-tier.ts";
import { createTierStore } from "../tiers/tier-store.ts";
import { tcp } from "../transport/tcp.ts";
import { createTransferService, type TransferServiceOptions } from "./transfer-service.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const openAgent = async (name: string): Promise<TransferAgent> => {
  const agent = await createAgent({ name, transports: [tcp()] });
  closing.push(() => agent.close());
  return agent;
};
const serve = (options: TransferServiceOptions) => {
  const service = createTransferService(options);
  closing.push(() => service.close());
  const transport = createRouterTransport((router) =>
    router.service(TransferService, service.implementation),
  );
  return createClient(TransferService, transport);
};
const block = (seed: string, parent?: bigint): TierBlock => ({
  key: createHash("sha256").update(seed).digest(),
  name: createHash("sha256").update(`name ${seed}`).digest().readBigUInt64LE(),
  parent,
  bytes: randomBytes(4_096),
});

describe("the control of an agent", () => {
  it("tells regions, peers, leases and totals, and which way leads to another agent", async () => {
    const [one, two] = [await openAgent("one"), await openAgent("two")];
    const [first, second] = [serve({ agent: one }), serve({ agent: two })];
    const { metadata, leaseId } = await second.openBench({ bytes: 65_536n, leaseMs: 5_000 });
    const { benchId } = await first.startBench({
      metadata,
      direction: TransferDirection.READ,
      blockBytes: 1_024n,
      batch: 8,
      repeats: 5,
    });
    const bench = await first.getBench({ benchId, waitMs: 10_000 });
    expect(bench).toMatchObject({
      isRunning: false,
      transfers: 5,
      bytes: BigInt(5 * 8 * 1_024),
      transports: ["tcp"],
    });
    expect(bench.error).toBeUndefined();
    const told = await first.getAgent({});
    expect(told).toMatchObject({
      name: "one",
      transports: ["tcp"],
      peers: [{ name: "two", isCurrent: true }],
    });
    expect(told.totals).toMatchObject([{ path: "tcp", direction: TransferDirection.READ, transfers: 8n }]);
    const target = await second.getAgent({});
    expect(target.regions).toMatchObject([{ bytes: 65_536n, memory: "host" }]);
    expect(target.leases).toMatchObject([{ idPrefix: leaseId.slice(0, 8), durationMs: 5_000 }]);
    const way = await first.explainPath({ metadata: target.metadata, bytes: 1_000n });
    expect(way).toMatchObject({ peer: "two", chosen: "tcp" });
    expect(way.estimatedMicros).toBeGreaterThan(0);

    await second.renewLease({ leaseId });
    await second.releaseLease({ leaseId });
    expect((await second.getAgent({})).regions).toEqual([]);
    await expect(second.renewLease({ leaseId })).rejects.toThrow(/holds no lease/);
  });

  it("stops a bench, and says why one failed", async () => {
    const [one, two] = [await openAgent("one"), await openAgent("two")];
    const [first, second] = [serve({ agent: one }), serve({ agent: two })];
    const { metadata } = await second.openBench({ bytes: 1_024n, leaseMs: 60_000 });
    const plan = {
      metadata,
      direction: TransferDirection.WRITE,
      blockBytes: 64n,
      batch: 4,
      repeats: 10_000_000,
    };
    const { benchId } = await first.startBench(plan);
    await first.stopBench({ benchId });
    expect(await first.getBench({ benchId })).toMatchObject({ isRunning: false });
    for (const wrong of [{ offset: 1_000n }, { transport: "ucx" }, { batch: 0 }]) {
      const started = await first.startBench({ ...plan, repeats: 1, ...wrong });
      const { error } = await first.getBench({ benchId: started.benchId, waitMs: 5_000 });
      expect(error).toBeDefined();
    }
    await expect(first.getBench({ benchId: "none" })).rejects.toThrow(/no bench none/);
    expect((await first.getAgent({})).regions).toEqual([]);
  });
});

describe("blocks that one process keeps for others", () => {
  const keeper = async (budgetBytes = 1e6) => {
    const store = await createTierStore({ tiers: [hostTier({ budgetBytes })] });
    const agent = await openAgent("keeper");
    closing.push(() => store.close());
    return { store, client: serve({ agent, store }) };
  };

  it("come from one worker to another, under their keys, with their names", async () => {
    const { store, client } = await keeper();
    const changes: TierChange[] = [];
    const open = async (name: string) => {
      const agent = await openAgent(name);
      const opened = await createTierStore({
        tiers: [hostTier({ budgetBytes: 1e6 }), sharedTier({ client, agent })],
        onChange: (change) => name === "two" && changes.push(change),
      });
      closing.push(() => opened.close());
      return opened;
    };
    const [one, two] = [await open("one"), await open("two")];
    const first = block("a");
    const blocks = [first, block("b", first.name), block("c")];
    for (const each of blocks) await one.put(each);
    await one.settled();
    expect(store.tiers[0]?.blocks).toBe(3);
    const keys = blocks.map(({ key }) => key);
    expect(two.leading(keys)).toBe(0);
    expect(await two.find([...keys, block("unknown").key])).toBe(3);
    const read = await two.read(keys);
    expect(read.map(({ tier }) => tier)).toEqual(["shared", "shared", "shared"]);
    read.forEach((hit, i) => expect(Buffer.compare(hit.block.bytes, blocks[i]!.bytes)).toBe(0));
    expect(changes.map(({ type, tier, name, parent }) => ({ type, tier, name, parent }))).toEqual(
      blocks.map(({ name, parent }) => ({ type: "stored", tier: "host", name, parent })),
    );
  });

  it("cost a block and never a request when the keeper evicted them or is gone", async () => {
    const { store, client } = await keeper();
    const agent = await openAgent("one");
    const tier = await sharedTier({ client, agent, timeoutMs: 300 }).open(() => undefined, "");
    const kept = block("a");
    expect(await tier.put(kept)).toBe(true);
    await store.remove(kept.key);
    expect(await tier.get(kept.key)).toBeUndefined();
    expect(tier.has(kept.key)).toBe(false);
    const nobody = createClient(
      TransferService,
      createRouterTransport((router) => router.service(TransferService, {})),
    );
    const orphan = await sharedTier({ client: nobody, agent, timeoutMs: 300 }).open(() => undefined, "");
    expect(await orphan.find([kept.key])).toBe(0);
    expect(await orphan.put(kept)).toBe(false);
    expect(await orphan.get(kept.key)).toBeUndefined();
    expect(agent.leases).toEqual([]);
  });

  it("are refused when the offer holds another key than the caller says", async () => {
    const { store, client } = await keeper();
    const agent = await openAgent("one");
    const { createHandoffSource } = await import("../handoff/handoff-source.ts");
    const offer = await createHandoffSource({ agent }).offer({ blocks: [block("real")], leaseMs: 1_000 });
    await expect(client.storeBlocks({ opaque: offer.opaque, keys: block("other").key })).rejects.toThrow(
      /another key/,
    );
    await expect(client.findBlocks({ keys: new Uint8Array(31) })).rejects.toThrow(/31 bytes/);
    expect(store.tiers[0]?.blocks).toBe(0);
    offer.release();
  });
});

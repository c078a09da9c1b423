import { createHash, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, describe, expect, it } from "vitest";
import {
  createAgent,
  createTierStore,
  describe as pieces,
  hostTier,
  type TierChange,
} from "@stator/kv-transfer";
import { s3, s3Tier } from "@stator/kv-transfer/s3";
import { startS3Server } from "../s3-server.ts";
import { s3ClientFor, s3UnderTest } from "../s3-transport.mjs";
import { conforms } from "./suite.ts";

const server = await startS3Server();
if (server === undefined)
  console.log("skipped: S3: no moto_server on PATH (pip install 'moto[server]') and no STATOR_S3_ENDPOINT");
afterAll(() => server?.close());
const endpoint = server?.endpoint ?? "http://127.0.0.1:1";
const bucket = `stator-${process.pid}-${Date.now().toString(36)}`;
const client = s3ClientFor(endpoint);
if (server !== undefined) {
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const options = { endpoint, bucket };
  conforms("objects by S3", {
    transport: () => s3UnderTest(options),
    memory: "object",
    isSparse: true,
    isRemoteStore: true,
    module: {
      specifier: fileURLToPath(new URL("../s3-transport.mjs", import.meta.url)),
      export: "s3UnderTest",
      options,
    },
  });
}

const keysUnder = async (prefix: string): Promise<string[]> =>
  ((await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))).Contents ?? []).map(
    ({ Key }) => Key!,
  );

describe.skipIf(server === undefined)("regions of objects", () => {
  it("writers of different parts of one chunk at once lose nothing", async () => {
    const [one, two] = await Promise.all(
      ["one", "two"].map((name) =>
        createAgent({ name, transports: [s3({ client, bucket, prefix: "race/", chunkBytes: 4096 })] }),
      ),
    );
    const region = await one!.allocate({ bytes: 4096, memory: "object" });
    const blob = one!.exportMetadata();
    const seen = await Promise.all(
      [one!, two!].map(async (agent, writer) => {
        const peer = agent.importMetadata(blob);
        const here = agent.register(new Uint8Array(64).fill(writer + 1));
        for (let i = writer; i < 16; i += 2)
          await agent.transfer({
            operation: "write",
            peer,
            local: pieces(here, [{ offset: 0, bytes: 64 }]),
            remote: pieces(peer.region(region.id), [{ offset: i * 64, bytes: 64 }]),
          });
        return peer;
      }),
    );
    const whole = one!.register(new Uint8Array(4096));
    await one!.transfer({
      operation: "read",
      peer: seen[0]!,
      local: pieces(whole, [{ offset: 0, bytes: 4096 }]),
      remote: pieces(seen[0]!.region(region.id), [{ offset: 0, bytes: 4096 }]),
    });
    for (let i = 0; i < 16; i += 1)
      expect(whole.read(i * 64, 64).every((byte) => byte === 1 + (i % 2))).toBe(true);
    await Promise.all([one!.close(), two!.close()]);
    expect(await keysUnder("race/")).toEqual([]);
  });

  it("refuses epochs, access within a call, and a bucket that is not there, in words", async () => {
    const agent = await createAgent({ transports: [s3({ client, bucket })] });
    await expect(agent.allocate({ bytes: 10, blockBytes: 5, memory: "object" })).rejects.toMatchObject({
      code: "TRANSFER_OPTION_INVALID",
    });
    const region = await agent.allocate({ bytes: 10, memory: "object" });
    expect(() => region.read(0, 10)).toThrow(expect.objectContaining({ code: "TRANSFER_PATH_UNAVAILABLE" }));
    const lost = await createAgent({ transports: [s3({ client, bucket: "no-such-bucket-here" })] });
    await expect(lost.allocate({ bytes: 10, memory: "object" })).rejects.toMatchObject({
      code: "TRANSFER_TRANSPORT_FAILED",
      message: expect.stringContaining("NoSuchBucket") as string,
    });
    const peer = lost.importMetadata(agent.exportMetadata());
    expect(lost.explain(peer).candidates[0]?.reach).toMatchObject({
      reason: expect.stringContaining("not in no-such-bucket-here/") as string,
    });
    await Promise.all([agent.close(), lost.close()]);
  });
});

describe.skipIf(server === undefined)("blocks in a bucket", () => {
  const block = (seed: string) => ({
    key: createHash("sha256").update(seed).digest(),
    name: createHash("sha256").update(`name ${seed}`).digest().readBigUInt64LE(),
    bytes: randomBytes(5_000),
  });
  const open = (changes: TierChange[], scope = "model") =>
    createTierStore({
      tiers: [hostTier({ budgetBytes: 1e6 }), s3Tier({ client, bucket, prefix: "tier/" })],
      onChange: (change) => changes.push(change),
      scope,
    });

  it("outlive the worker that wrote them, and come to another under their keys", async () => {
    const [written, read]: [TierChange[], TierChange[]] = [[], []];
    const one = await open(written);
    const blocks = ["a", "b", "c"].map(block);
    for (const each of blocks) await one.put(each);
    await one.close();
    // Several are written at once: which of them is first there is chance.
    const there = written.filter(({ tier }) => tier === "shared").map(({ name }) => name);
    expect(there.toSorted()).toEqual(blocks.map(({ name }) => name).toSorted());
    const two = await open(read);
    const keys = blocks.map(({ key }) => key);
    expect(two.leading(keys)).toBe(0);
    expect(await two.find([...keys, block("unknown").key])).toBe(3);
    const hits = await two.read(keys);
    expect(hits.map(({ tier }) => tier)).toEqual(["shared", "shared", "shared"]);
    hits.forEach((hit, i) => expect(Buffer.compare(hit.block.bytes, blocks[i]!.bytes)).toBe(0));
    expect(hits.map(({ block: { name } }) => name)).toEqual(blocks.map(({ name }) => name));
    await two.close();
    const other = await open([], "another model");
    expect(await other.find(keys)).toBe(0);
    await other.close();
  });

  it("are not served when they are damaged, gone, or the store is out of reach", async () => {
    const store = await open([], "damage");
    const kept = block("kept");
    await store.put(kept);
    await store.settled();
    await store.tiers[0]!.remove(kept.key);
    const [Key] = (await keysUnder("tier/")).filter((key) =>
      key.endsWith(Buffer.from(kept.key).toString("hex")),
    );
    const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
    const bytes = await object.Body!.transformToByteArray();
    bytes[bytes.length - 1]! ^= 1;
    await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: bytes }));
    expect(await store.get(kept.key)).toBeUndefined();
    expect(store.where(kept.key)).toBeUndefined();
    await store.close();
    const nowhere = await createTierStore({
      tiers: [s3Tier({ client: s3ClientFor("http://127.0.0.1:1"), bucket, timeoutMs: 300 })],
    });
    expect(await nowhere.find([kept.key])).toBe(0);
    await nowhere.put(kept);
    expect(await nowhere.get(kept.key)).toBeUndefined();
    await nowhere.close();
  });
});

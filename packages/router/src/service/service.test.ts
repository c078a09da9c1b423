import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, type Client } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { KvTier, ObserveOutcome, RouterService } from "@stator/contracts";
import { nameBlocks } from "@stator/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSelector } from "../selector/create-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { createIndexerHandler } from "./indexer-handler.ts";
import { bytesOfNames } from "./names-on-wire.ts";
import { createRouterService, type RouterServiceHandle } from "./router-service.ts";

const promptIds = Array.from({ length: 640 }, (_, i) => i);
const names = nameBlocks(promptIds, { blockTokens: 64 });
const time = { ms: 0 };
let selector: Selector;
let service: RouterServiceHandle;
let server: Server;
let client: Client<typeof RouterService>;

beforeEach(async () => {
  time.ms = 0;
  const clock = { now: () => time.ms };
  selector = createSelector({ clock });
  service = createRouterService({ selector, clock });
  server = createServer(connectNodeAdapter({ routes: (router) => service.routes(router) }));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  client = createClient(
    RouterService,
    createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "1.1" }),
  );
  for (const id of ["a", "b"]) {
    await client.addWorker({
      worker: { id, epoch: "1", model: "m", ranks: 2, capacity: { requests: 8, kvBlocks: 1000, queue: 8 } },
      blockTokens: 64,
    });
  }
  const stored = { sequenceHashes: bytesOfNames(names.subarray(0, 6)), tier: KvTier.DEVICE, rank: 1 };
  const events = [{ event: { case: "stored" as const, value: stored } }];
  const { outcomes, nextSequence } = await client.observe({
    batches: [{ worker: "b", epoch: "1", sequence: 1n, events }],
  });
  expect([outcomes, nextSequence]).toEqual([[ObserveOutcome.APPLIED], 2n]);
});

afterEach(() => new Promise<void>((done) => void server.close(() => done())));

describe("RouterService", () => {
  test("selects without booking, by ids or by names, and explains when asked", async () => {
    const byIds = await client.select({ prompt: { promptIds }, explain: true });
    expect(byIds.chosen).toMatchObject({ worker: "b", rank: 1, cachedTokens: 384 });
    expect(byIds.candidates).toHaveLength(4);
    expect(Object.keys(byIds.candidates[0]!.terms)).toContain("prefill");
    const byNames = await client.select({
      prompt: { sequenceHashes: bytesOfNames(names), promptTokens: 640 },
    });
    expect(byNames.chosen).toMatchObject({ worker: "b", cachedTokens: 384 });
    expect(byNames.candidates).toEqual([]);
    expect(selector.loads().every((load) => load.activeRequests === 0)).toBe(true);
  });

  test("books a reservation until it is released", async () => {
    const { reservation, selection } = await client.reserve({ prompt: { promptIds } });
    expect(selection?.chosen?.worker).toBe("b");
    expect(
      await client.progress({ reservation, prefilled: true, cachedTokens: 384, outputTokens: 70 }),
    ).toMatchObject({ known: true });
    const { targets } = await client.dump({});
    expect(targets.find((target) => target.worker === "b" && target.rank === 1)).toMatchObject({
      activeRequests: 1,
      queuedPrefillTokens: 0,
      predictedTokens: 384n,
    });
    await client.release({ reservation });
    expect(selector.loads().every((load) => load.activeRequests === 0 && load.decodeBlocks === 0)).toBe(true);
  });

  test("frees a reservation whose caller fell silent, and keeps one that progresses", async () => {
    const silent = await client.reserve({ prompt: { promptIds }, leaseMs: 1000 });
    const lively = await client.reserve({ prompt: { promptIds }, leaseMs: 1000 });
    time.ms = 800;
    await client.progress({ reservation: lively.reservation, outputTokens: 1 });
    time.ms = 1500;
    expect(service.reservations).toBe(1);
    expect(await client.progress({ reservation: silent.reservation })).toMatchObject({ known: false });
    expect(await client.progress({ reservation: lively.reservation })).toMatchObject({ known: true });
  });

  test("says why nothing was chosen, and refuses a worker of another block size", async () => {
    const prompt = { promptIds, requireLabels: { zone: "x" } };
    expect((await client.select({ prompt })).reason).toContain("label zone is not x");
    await expect(client.reserve({ prompt })).rejects.toThrow("label zone is not x");
    await expect(client.addWorker({ worker: { id: "c", epoch: "1" }, blockTokens: 16 })).rejects.toThrow(
      "blocks of 16 tokens",
    );
  });
});

describe("indexer handler", () => {
  const post = async (path: string, body: string | object): Promise<Response> =>
    createIndexerHandler({ models: { m: selector } })(
      new Request(`http://indexer${path}`, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    );

  test("answers by tokens and by hashes alike, in the RFC's shape", async () => {
    const expected = {
      default: { b: { longest_matched: 384, GPU: 384, DP: { "1": 384 }, CPU: 0, DISK: 0 } },
    };
    const byTokens = await post("/query", { model: "m", token_ids: promptIds, block_size: 64 });
    expect(await byTokens.json()).toEqual(expected);
    const bare = `{"model":"m","block_size":64,"seq_hashes":[${[...names].join(",")}]}`;
    expect(await (await post("/query_by_hash", bare)).json()).toEqual(expected);
    const signed = `{"model":"m","seq_hashes":[${[...names].map((name) => BigInt.asIntN(64, name)).join(",")}]}`;
    expect(signed).toContain("-");
    expect(await (await post("/query_by_hash", signed)).json()).toEqual(expected);
    expect(
      await (
        await post("/query", { model: "m", token_ids: promptIds, instance_id: "a", tenant_id: "t" })
      ).json(),
    ).toEqual({ t: {} });
  });

  test("refuses what could only ever miss", async () => {
    expect((await post("/query", { model: "m", token_ids: promptIds, block_size: 16 })).status).toBe(400);
    expect((await post("/query", { model: "n", token_ids: [] })).status).toBe(404);
    expect((await post("/query", { model: "m", token_ids: ["a"] })).status).toBe(400);
    expect((await post("/query", "{")).status).toBe(400);
  });
});

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RouterService, WorkerRole } from "@stator/contracts";
import { parseDecisions } from "@stator/router";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readRouterConfig } from "./router-config.ts";
import { runRouter, type RunningRouter } from "./run-router.ts";

let folder: string;
let router: RunningRouter;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "stator-router-"));
  const file = path.join(folder, "router.yaml");
  await writeFile(file, "model: qwen\nlisten: { rpcPort: 0, httpPort: 0 }\npolicy: { name: kv-aware }\n");
  router = await runRouter(await readRouterConfig(file));
});
afterAll(async () => {
  await router.close();
  await rm(folder, { recursive: true, force: true });
});

test("workers that register over gRPC are chosen, and show in the indexer API", async () => {
  const client = createClient(RouterService, createGrpcTransport({ baseUrl: router.rpcUrl }));
  for (const id of ["a", "b"]) {
    await client.addWorker({
      blockTokens: 16,
      worker: {
        id,
        epoch: "1",
        role: WorkerRole.BOTH,
        model: "qwen",
        ranks: 1,
        capacity: { requests: 8, kvBlocks: 100, queue: 8 },
      },
    });
  }
  const promptIds = Array.from({ length: 64 }, (_, i) => i);
  const reserved = await client.reserve({ prompt: { id: "1", promptIds } });
  expect(["a", "b"]).toContain(reserved.selection?.chosen?.worker);

  const workers = await (await fetch(`${router.httpUrl}/workers`)).json();
  expect(JSON.stringify(workers)).toContain("a");
  const query = await fetch(`${router.httpUrl}/query`, {
    method: "POST",
    body: JSON.stringify({ model: "qwen", token_ids: promptIds }),
  });
  expect(query.status).toBe(200);
  expect((await fetch(`${router.httpUrl}/query`, { method: "POST", body: "{" })).status).toBe(400);
});

test("a configuration takes what a selector takes; decisions are recorded, and metrics exposed", async () => {
  const file = path.join(folder, "full.yaml");
  const decisions = path.join(folder, "decisions.jsonl");
  await writeFile(
    file,
    `model: qwen\nlisten: { rpcPort: 0, httpPort: 0 }\npolicy: { name: dynamo-0.4, options: { overlapWeight: 4 } }\n` +
      `taints: true\nindexBytes: 1048576\ncost: { prefillExternality: 0, hostMsPerToken: 1 }\n` +
      `speculativeTtlMs: 1000\napproximateTtlMs: 2000\nseed: 7\nlogLevel: silent\ndecisions: ${decisions}\n`,
  );
  const config = await readRouterConfig(file);
  expect(config.selector).toMatchObject({
    cost: { prefillExternality: 0, hostMsPerToken: 1 },
    index: { maxBytes: 1_048_576 },
    speculativeTtlMs: 1000,
    approximateTtlMs: 2000,
    seed: 7,
  });
  const full = await runRouter(config);
  try {
    const client = createClient(RouterService, createGrpcTransport({ baseUrl: full.rpcUrl }));
    const capacity = { requests: 8, kvBlocks: 100, queue: 8 };
    const add = (id: string, labels: Record<string, string>) =>
      client.addWorker({
        blockTokens: 16,
        worker: { id, epoch: "1", role: WorkerRole.BOTH, model: "qwen", ranks: 2, capacity, labels },
      });
    await add("a", {});
    await add("kept", { "taint:batch": "yes" });
    const promptIds = Array.from({ length: 64 }, (_, i) => i);
    const { candidates } = await client.select({ prompt: { id: "1", promptIds }, explain: true });
    expect(candidates.filter(({ worker }) => worker === "kept").map(({ excluded }) => excluded)).toEqual([
      "not tolerated: taint:batch",
      "not tolerated: taint:batch",
    ]);
    const pinned = { id: "2", promptIds, pinWorker: "a", pinRank: 1 };
    const { reservation, selection } = await client.reserve({ prompt: pinned });
    expect(selection?.chosen).toMatchObject({ worker: "a", rank: 1 });
    expect(selection?.policy).toBe("dynamo04");
    await client.progress({ reservation, prefilled: true, cachedTokens: 0, outputTokens: 9 });
    await client.release({ reservation });
    const exposed = await fetch(`${full.httpUrl}/metrics`);
    expect(await exposed.text()).toContain('worker="a"');
  } finally {
    await full.close();
  }
  expect(parseDecisions(await readFile(decisions, "utf8"))).toMatchObject([
    { id: "2", worker: "a", rank: 1, promptTokens: 64, outputTokens: 9 },
  ]);
  await expect(runRouter({ ...config, decisions: path.join(folder, "none", "x") })).rejects.toThrow(
    /decisions: .*none/,
  );
});

test("a port that is taken is named, and nothing of it stays open", async () => {
  const file = path.join(folder, "taken.yaml");
  await writeFile(file, "model: qwen\nlisten: { rpcPort: 0, httpPort: 0 }\n");
  const config = await readRouterConfig(file);
  const first = await runRouter(config);
  const taken = Number(new URL(first.rpcUrl).port);
  try {
    const listen = { ...config.listen, rpcPort: taken };
    await expect(runRouter({ ...config, listen })).rejects.toThrow(/EADDRINUSE.*rpcPort/);
  } finally {
    await first.close();
  }
});

test("a wrong configuration names the file and the field", async () => {
  const file = path.join(folder, "wrong.yaml");
  await writeFile(file, "model: qwen\npolicy: { name: fastest }\n");
  await expect(readRouterConfig(file)).rejects.toThrow(/fastest.*kv-aware/);
  await writeFile(file, "models: qwen\n");
  await expect(readRouterConfig(file)).rejects.toThrow(/wrong\.yaml.*model/s);
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RouterService, WorkerRole } from "@stator/contracts";
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

test("a wrong configuration names the file and the field", async () => {
  const file = path.join(folder, "wrong.yaml");
  await writeFile(file, "model: qwen\npolicy: { name: fastest }\n");
  await expect(readRouterConfig(file)).rejects.toThrow(/fastest.*kv-aware/);
  await writeFile(file, "models: qwen\n");
  await expect(readRouterConfig(file)).rejects.toThrow(/wrong\.yaml.*model/s);
});

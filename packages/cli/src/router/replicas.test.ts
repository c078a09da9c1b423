import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { KvTier, RouterService, WorkerRole } from "@stator/contracts";
import { nameBlocks } from "@stator/core";
import { hasServer, startServer } from "@stator/runtime/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const promptIds = Array.from({ length: 640 }, (_, i) => i);
const names = nameBlocks(Uint32Array.from(promptIds), { blockTokens: 16 });

let folder: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "stator-replicas-"));
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

interface RouterProcess {
  readonly child: ChildProcess;
  readonly rpcUrl: string;
  readonly httpUrl: string;
  readonly client: Client<typeof RouterService>;
}

/** `stator router` as a process of its own. */
async function start(name: string, replicas: string): Promise<RouterProcess> {
  const config = path.join(folder, `${name}.yaml`);
  await writeFile(config, `model: qwen\nlisten: { rpcPort: 0, httpPort: 0 }\n${replicas}`);
  const child = spawn(process.execPath, ["packages/cli/dist/main.js", "router", "--config", config], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  let output = "";
  const [rpcUrl, httpUrl] = await new Promise<[string, string]>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`stator router ended with ${code}: ${output}`)));
    child.stdout.on("data", (chunk: Buffer) => {
      output += String(chunk);
      const match = /RouterService on (\S+)\nindexer on (\S+)\n/.exec(output);
      if (match !== null) resolve([match[1]!, match[2]!]);
    });
  });
  return {
    child,
    rpcUrl,
    httpUrl,
    client: createClient(RouterService, createGrpcTransport({ baseUrl: rpcUrl })),
  };
}

async function addWorker({ client }: RouterProcess, id: string): Promise<void> {
  const capacity = { requests: 8, kvBlocks: 1000, queue: 8 };
  await client.addWorker({
    blockTokens: 16,
    worker: { id, epoch: "1", role: WorkerRole.BOTH, model: "qwen", ranks: 1, capacity },
  });
}

async function store({ client }: RouterProcess, worker: string, blocks: BigUint64Array): Promise<void> {
  const sequenceHashes = new Uint8Array(blocks.slice().buffer);
  const stored = { case: "stored" as const, value: { sequenceHashes, tier: KvTier.DEVICE, rank: 0 } };
  await client.observe({
    batches: [{ worker, epoch: "1", sequence: 1n, events: [{ event: stored }] }],
  });
}

/** Tokens that a router believes to be cached where it would send the prompt. */
async function cached({ client }: RouterProcess): Promise<number | undefined> {
  const { chosen } = await client.select({ prompt: { id: "1", promptIds } });
  return chosen?.cachedTokens;
}

async function active({ client }: RouterProcess): Promise<number> {
  const { targets } = await client.dump({});
  return targets.reduce((sum, target) => sum + target.activeRequests, 0);
}

/** Two routers share all; one dies and the other goes on; a third starts warm. */
async function shareLoseAndWarm(
  first: RouterProcess,
  second: RouterProcess,
  third: () => Promise<RouterProcess>,
) {
  for (const id of ["a", "b"]) await addWorker(first, id);
  await expect.poll(async () => (await second.client.dump({})).targets.length, { timeout: 15_000 }).toBe(2);
  await store(first, "a", names);
  await expect.poll(() => cached(second), { timeout: 15_000 }).toBe(640);
  const { reservation } = await second.client.reserve({ prompt: { id: "2", promptIds } });
  await expect.poll(() => active(first), { timeout: 15_000 }).toBe(1);

  const gone = once(first.child, "exit");
  first.child.kill("SIGKILL");
  await gone;
  expect(await cached(second)).toBe(640);
  expect(await active(second)).toBe(1);

  const warm = await third();
  await expect.poll(() => cached(warm), { timeout: 15_000 }).toBe(640);
  await expect.poll(() => active(warm), { timeout: 15_000 }).toBe(1);
  await second.client.release({ reservation });
  await expect.poll(() => active(warm), { timeout: 15_000 }).toBe(0);
}

describe("stator router, several of them", { timeout: 120_000 }, () => {
  test.runIf(hasServer("nats"))("share bookings, workers and blocks over NATS", async () => {
    await using nats = await startServer("nats");
    const replicas = `replicas: { nats: "${nats.url}" }\n`;
    const [first, second] = await Promise.all([start("n1", replicas), start("n2", replicas)]);
    await shareLoseAndWarm(first, second, () => start("n3", replicas));
  });

  test("share them peer to peer", async () => {
    const first = await start("p1", "replicas: {}\n");
    const second = await start("p2", `replicas: { peers: ["${first.rpcUrl}"] }\n`);
    await shareLoseAndWarm(first, second, () => start("p3", `replicas: { peers: ["${second.rpcUrl}"] }\n`));
  });

  const hasPython = spawnSync("python3", ["--version"]).status === 0;
  if (!hasPython) console.log("skipped: python3 is not installed");
  test.runIf(hasPython)("serve a gateway in another language by plain HTTP", async () => {
    const router = await start("py", "");
    const script = fileURLToPath(new URL("../../test/route.py", import.meta.url));
    const python = spawn("python3", [script, router.httpUrl], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    python.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
    const [code] = (await once(python, "close")) as [number];
    expect(code).toBe(0);
    expect(JSON.parse(output)).toEqual({
      chosen: "b",
      cachedTokens: 64,
      known: true,
      longest: { b: 64 },
      dryRun: ["a", "b"],
    });
    expect(await active(router)).toBe(0);
  });
});

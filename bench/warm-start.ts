// `npm run bench -- warm-start --json`: fault row 12's part of the router, between real processes. One `stator router` holds a
// million blocks; another is started beside it, and killed, several times: how long from its start, and from its first answer,
// until it holds 95 % and all of them, and how long the one that serves was kept from answering meanwhile.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { KvTier, RouterService } from "@stator/contracts";
import { seededRandom } from "@stator/simulator/workload";

/** Blocks of a chain, and chains of a batch. */
const CHAIN = 100;
const BATCH = 50;
const LIMIT_MS = 60_000;

interface RouterProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly startedMs: number;
  readonly listeningMs: number;
  readonly client: Client<typeof RouterService>;
}

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      blocks: { type: "string", default: "1000000" },
      workers: { type: "string", default: "8" },
      rounds: { type: "string", default: "3" },
    },
  });
  const folder = await mkdtemp(path.join(os.tmpdir(), "stator-warm-start-"));
  const serving = await start(folder, "serving", "replicas: {}\n");
  try {
    await fill(serving.client, Number(values.blocks), Number(values.workers));
    const blocks = await indexedBlocks(serving);
    const rounds = [];
    for (let i = 0; i < Number(values.rounds); i++) rounds.push(await round(folder, serving, blocks));
    return { blocks, workers: Number(values.workers), loadAverage: os.loadavg()[0], rounds };
  } finally {
    await kill(serving);
    await rm(folder, { recursive: true, force: true });
  }
}

async function round(folder: string, serving: RouterProcess, blocks: number): Promise<unknown> {
  const watch = watchAnswers(serving.client);
  const fresh = await start(folder, "fresh", `replicas: { peers: ["${serving.url}"] }\n`);
  try {
    const nearlyAllMs = await until(fresh, 0.95 * blocks);
    const allMs = await until(fresh, blocks);
    const slowestAnswerMs = await watch.stop();
    const since = (ms: number): number => Math.round(ms - fresh.startedMs);
    return {
      listeningMs: since(fresh.listeningMs),
      nearlyAllMs: since(nearlyAllMs),
      nearlyAllSinceListeningMs: Math.round(nearlyAllMs - fresh.listeningMs),
      allMs: since(allMs),
      slowestAnswerMs: Math.round(slowestAnswerMs),
    };
  } finally {
    await watch.stop();
    await kill(fresh);
  }
}

/** When a router first held so many blocks. */
async function until(router: RouterProcess, blocks: number): Promise<number> {
  const lastMs = performance.now() + LIMIT_MS;
  for (;;) {
    const held = await indexedBlocks(router);
    if (held >= blocks) return performance.now();
    if (performance.now() > lastMs)
      throw new Error(`It holds ${held} of ${blocks} blocks after ${LIMIT_MS} ms.`);
    await delay(50);
  }
}

/** Asks a router for a decision again and again; the slowest answer is how long it was busy with something else. */
function watchAnswers(client: Client<typeof RouterService>): { stop(): Promise<number> } {
  const promptIds = Array.from({ length: 320 }, (_, i) => i);
  let [slowestMs, isStopped] = [0, false];
  const asking = (async () => {
    while (!isStopped) {
      const startedMs = performance.now();
      await client.select({ prompt: { id: "watch", promptIds } });
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      await delay(5);
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await asking;
      return slowestMs;
    },
  };
}

async function indexedBlocks({ client }: RouterProcess): Promise<number> {
  const { targets } = await client.dump({});
  return targets.reduce((sum, target) => sum + Number(target.indexedBlocks), 0);
}

async function fill(client: Client<typeof RouterService>, blocks: number, workers: number): Promise<void> {
  const random = seededRandom(3);
  const capacity = { requests: 8, kvBlocks: blocks, queue: 8 };
  for (let i = 0; i < workers; i++)
    await client.addWorker({
      blockTokens: 16,
      worker: { id: `w${i}`, epoch: "1", model: "bench", ranks: 1, capacity },
    });
  for (let at = 0, batch = 0; at < blocks; at += CHAIN * BATCH, batch++) {
    const events = Array.from({ length: BATCH }, () => {
      const words = Uint32Array.from({ length: 2 * CHAIN }, () => random() * 2 ** 32);
      const keys = words.map((word) => word ^ 5);
      const value = {
        sequenceHashes: new Uint8Array(words.buffer),
        engineKeys: new Uint8Array(keys.buffer),
        tier: KvTier.DEVICE,
        rank: 0,
      };
      return { event: { case: "stored" as const, value } };
    });
    const sequence = BigInt(Math.floor(batch / workers) + 1);
    await client.observe({ batches: [{ worker: `w${batch % workers}`, epoch: "1", sequence, events }] });
  }
}

async function start(folder: string, name: string, replicas: string): Promise<RouterProcess> {
  const config = path.join(folder, `${name}.yaml`);
  await writeFile(config, `model: bench\nlisten: { rpcPort: 0, httpPort: 0 }\n${replicas}`);
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["packages/cli/dist/main.js", "router", "--config", config], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let output = "";
    child.once("exit", (code) => reject(new Error(`stator router ended with ${code}: ${output}`)));
    child.stdout.on("data", (chunk: Buffer) => {
      output += String(chunk);
      const match = /RouterService on (\S+)\n/.exec(output);
      if (match !== null) resolve(match[1]!);
    });
  });
  const listeningMs = performance.now();
  return {
    child,
    url,
    startedMs,
    listeningMs,
    client: createClient(RouterService, createGrpcTransport({ baseUrl: url })),
  };
}

async function kill({ child }: RouterProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

// Router path: a session in this process to an engine in another, at zero step time: what the wire costs. Once with the
// simulated engine, once with one that only counts, so that the wire's share is seen. Each stream runs requests of 512
// tokens, one after the other.
// `npm run bench -- serving-router-path [--streams 64] [--tokens 20000] [--json]`.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRequest, type Engine, type WorkerHandle } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createRuntime, fileDiscovery, notifyReady, watchSupervisor } from "@stator/runtime";

interface RouterPath {
  readonly tokensPerSecond: number;
  /** Of this process: session, decoding, one consumer per stream. */
  readonly cpuMicrosecondsPerToken: number;
  /** Of the worker: engine, encoding. */
  readonly workerCpuMicrosecondsPerToken: number;
  /** The engine alone, in this process, without any wire. */
  readonly engineCpuMicrosecondsPerToken: number;
  readonly tokensPerBatch: number;
}

interface Result {
  readonly streams: number;
  readonly routerPath: RouterPath;
  /** The same with an engine that costs next to nothing. */
  readonly wireOnly: RouterPath;
}

const requestTokens = 512;

export async function run(args: readonly string[]): Promise<Result> {
  const { values } = parseArgs({
    args: [...args],
    options: { streams: { type: "string", default: "64" }, tokens: { type: "string", default: "20000" } },
  });
  const streams = Number(values.streams);
  const tokens = Number(values.tokens);
  return {
    streams,
    routerPath: await measure("simulated", streams, tokens),
    wireOnly: await measure("counting", streams, tokens),
  };
}

async function measure(kind: EngineKind, streams: number, tokens: number): Promise<RouterPath> {
  const dir = await mkdtemp(join(tmpdir(), "stator-bench-"));
  const args = ["--import", "tsx", import.meta.filename, dir, kind];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    await using runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
    const handle = await new Promise<WorkerHandle>((resolve) => {
      runtime.workers().onChange((change) => resolve(change.handle));
    });
    await drive(handle.engine, streams, tokens / 10);
    const workerBefore = await cpuOf(child);
    const wire = await drive(handle.engine, streams, tokens);
    const workerCpu = (await cpuOf(child)) - workerBefore;
    const engine = createEngine(kind);
    await drive(engine, streams, tokens / 10);
    const alone = await drive(engine, streams, tokens / 2);
    return {
      tokensPerSecond: Math.round(wire.tokens / wire.seconds),
      cpuMicrosecondsPerToken: round(wire.cpuMicroseconds / wire.tokens),
      workerCpuMicrosecondsPerToken: round(workerCpu / wire.tokens),
      engineCpuMicrosecondsPerToken: round(alone.cpuMicroseconds / alone.tokens),
      tokensPerBatch: round(wire.tokens / wire.batches),
    };
  } finally {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
}

async function drive(engine: Engine, streams: number, tokensPerStream: number) {
  let tokens = 0;
  let batches = 0;
  const started = performance.now();
  const cpu = process.cpuUsage();
  await Promise.all(
    Array.from({ length: streams }, async (_, i) => {
      for (let done = 0; done < tokensPerStream; done += requestTokens) {
        const request = createRequest({
          id: `${started}-${i}-${done}`,
          model: engine.card!.model,
          promptIds: Uint32Array.of(1, 2, 3, i, done),
          limits: { maxTokens: requestTokens, ignoreEos: true },
        });
        for await (const { ids } of engine.generate(request, { signal: new AbortController().signal })) {
          tokens += ids.length;
          batches += 1;
        }
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { tokens, batches, seconds: (performance.now() - started) / 1000, cpuMicroseconds: user + system };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send("cpu");
  for (;;) {
    const [message] = (await once(child, "message")) as [{ cpu?: number }];
    if (message.cpu !== undefined) return message.cpu;
  }
}

type EngineKind = "simulated" | "counting";

function createEngine(kind: EngineKind): Engine {
  const simulated = createSimulatedEngine({ contextTokens: 1_000_000, kvBlocks: 200_000, maxRunning: 1024 });
  return kind === "simulated" ? simulated : countingEngine(simulated.card);
}

/** All requests go on by one token in each turn of the loop. */
function countingEngine(card: Engine["card"]): Engine {
  let waiting: (() => void)[] = [];
  const step = (): void => {
    const going = waiting;
    waiting = [];
    for (const go of going) go();
  };
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      if (waiting.push(resolve) === 1) setImmediate(step);
    });
  return {
    card,
    async *generate({ limits }) {
      for (let i = 0; i < limits.maxTokens; i++) {
        await turn();
        const finish = i === limits.maxTokens - 1 ? { finish: { reason: "length" as const } } : {};
        yield { firstIndex: i, ids: [i], ...finish };
      }
    },
  };
}

// This file is its own worker process.
if (process.argv[1] === import.meta.filename) {
  const [, , dir = "", kind = "simulated"] = process.argv;
  watchSupervisor();
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpu: user + system });
  });
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  await runtime.serveEngine(createEngine(kind as EngineKind), { role: "both", capacity: { requests: 1024 } });
  notifyReady();
}

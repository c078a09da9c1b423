// Router path: a session in this process to a simulated engine in another, at zero step time: what the wire costs.
// Each stream runs requests of 512 tokens, one after the other.
// `npm run bench -- serving-router-path [--streams 64] [--tokens 20000] [--json]`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createRequest, type Engine, type WorkerHandle } from "@stator/core";
import { createRuntime, fileDiscovery, notifyReady, watchSupervisor } from "@stator/runtime";

interface RouterPath {
  readonly tokensPerSecond: number;
  /** Of this process: session, decoding, one consumer per stream. */
  readonly cpuMicrosecondsPerToken: number;
  /** Of the worker: engine, encoding. */
  readonly workerCpuMicrosecondsPerToken: number;
  /** The engine alone, in this process, without any wire. */
  readonly engineCpuMicrosecondsPerToken: number;
  readonly streams: number;
  readonly tokensPerBatch: number;
}

export async function run(args: readonly string[]): Promise<{ routerPath: RouterPath }> {
  const { values } = parseArgs({
    args: [...args],
    options: { streams: { type: "string", default: "64" }, tokens: { type: "string", default: "20000" } },
  });
  const streams = Number(values.streams);
  const tokens = Number(values.tokens);
  const dir = await mkdtemp(join(tmpdir(), "stator-bench-"));
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--conditions=@stator/source", import.meta.filename, dir],
    {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    },
  );
  try {
    await using runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
    const handle = await new Promise<WorkerHandle>((resolve) => {
      const source = runtime.workers();
      source.onChange((change) => resolve(change.handle));
    });
    await drive(handle.engine, streams, tokens / 10);
    const workerBefore = await cpuOf(child);
    const wire = await drive(handle.engine, streams, tokens);
    const workerCpu = (await cpuOf(child)) - workerBefore;
    const engine = await createEngine();
    await drive(engine, streams, tokens / 10);
    const alone = await drive(engine, streams, tokens / 2);
    return {
      routerPath: {
        tokensPerSecond: Math.round(wire.tokens / wire.seconds),
        cpuMicrosecondsPerToken: round(wire.cpuMicroseconds / wire.tokens),
        workerCpuMicrosecondsPerToken: round(workerCpu / wire.tokens),
        engineCpuMicrosecondsPerToken: round(alone.cpuMicroseconds / alone.tokens),
        streams,
        tokensPerBatch: round(wire.tokens / wire.batches),
      },
    };
  } finally {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
}

const requestTokens = 512;

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

async function cpuOf(child: ReturnType<typeof spawn>): Promise<number> {
  child.send("cpu");
  for (;;) {
    const [message] = (await once(child, "message")) as [{ cpu?: number }];
    if (message.cpu !== undefined) return message.cpu;
  }
}

function createEngine(): Promise<Engine> {
  return Promise.resolve(
    createSimulatedEngine({ contextTokens: 1_000_000, kvBlocks: 200_000, maxRunning: 1024 }),
  );
}

// This file is its own worker process.
if (process.argv[1] === import.meta.filename) {
  watchSupervisor();
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpu: user + system });
  });
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir: process.argv[2] ?? "" }) });
  await runtime.serveEngine(await createEngine(), { role: "both", capacity: { requests: 1024 } });
  notifyReady();
}

// One router process with many workers: 200 sessions and 2,000 streams at 40 ms a token, then a quarter of the workers
// killed at once. `npm run bench -- sessions-at-scale [--workers 200] [--streams 2000] [--step-ms 40] [--seconds 10] [--json]`.
// On two cores that is about what fits: router and workers together want 1.9 of them.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRequest, type WorkerHandle } from "@stator/core";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createRuntime, fileDiscovery, watchSupervisor } from "@stator/runtime";

interface Result {
  readonly workers: number;
  readonly streams: number;
  readonly tokensPerSecond: number;
  /** Frames of all sessions that the router process took in. */
  readonly framesPerSecond: number;
  readonly tokensPerFrame: number;
  /** Of the router process: 1 is one core. */
  readonly cpuCores: number;
  readonly cpuMicrosecondsPerToken: number;
  readonly rssMb: number;
  readonly kibPerStream: number;
  /** From the kill of a quarter of the workers until the last of their streams had failed, and until the last was not selectable. */
  readonly killed: { readonly workers: number; readonly lastStreamMs: number; readonly lastWorkerMs: number };
}

const processes = 4;

export async function run(args: readonly string[]): Promise<Result> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workers: { type: "string", default: "200" },
      streams: { type: "string", default: "2000" },
      "step-ms": { type: "string", default: "40" },
      seconds: { type: "string", default: "10" },
    },
  });
  const workers = Number(values.workers);
  const streams = Number(values.streams);
  const dir = await mkdtemp(join(tmpdir(), "stator-bench-"));
  const children = Array.from({ length: processes }, (_, i): ChildProcess => {
    const own = [import.meta.filename, dir, String(i), String(workers / processes), values["step-ms"]];
    return spawn(process.execPath, ["--import", "tsx", ...own], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  });
  try {
    await using runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
    const source = runtime.workers();
    await new Promise<void>((resolve) => {
      source.onChange(() => {
        if (source.current().length === workers) resolve();
      });
    });
    const handles = source.current();
    // Every frame tells the worker's health; a session's status alone would miss those that carry only tokens. From the start: to
    // change 200 objects under load throws away all code that was compiled for them.
    let frames = 0;
    for (const { health } of handles) {
      const observe = health.observe.bind(health);
      Object.assign(health, {
        observe(observation: Parameters<typeof observe>[0]) {
          if (observation.type === "frame") frames += 1;
          return observe(observation);
        },
      });
    }
    const rssBefore = process.memoryUsage().rss;
    let tokens = 0;
    let failed = 0;
    let lastFailureMs = 0;
    let firstFailure: unknown;
    for (let i = 0; i < streams; i++) {
      const handle = handles[i % handles.length]!;
      void read(handle, i, (count) => (tokens += count)).catch((error: unknown) => {
        failed += 1;
        firstFailure ??= error;
        lastFailureMs = performance.now();
      });
      // Clients come one after the other, not in one moment.
      if (i % 25 === 24) await pause(50);
    }
    await pause(3_000);
    const before = tokens;
    const framesBefore = frames;
    const started = performance.now();
    const cpu = process.cpuUsage();
    await pause(Number(values.seconds) * 1_000);
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (performance.now() - started) / 1_000;
    const counted = tokens - before;
    if (failed > 0)
      throw new Error(`${failed} streams failed before anything was killed: the run says nothing.`, {
        cause: firstFailure,
      });
    const framesSeen = frames - framesBefore;
    const { rss } = process.memoryUsage();

    const victims = handles.filter(({ worker }) => worker.id.startsWith("0-"));
    let lastWorkerMs = 0;
    for (const { health } of victims) health.onChange(() => (lastWorkerMs = performance.now()));
    const killedMs = performance.now();
    children[0]?.kill("SIGKILL");
    while (
      failed < (streams * victims.length) / workers ||
      victims.some(({ health }) => health.isSelectable)
    ) {
      await pause(5);
      if (performance.now() - killedMs > 10_000)
        throw new Error(`After 10 s only ${failed} streams had failed.`);
    }
    return {
      workers,
      streams,
      tokensPerSecond: Math.round(counted / seconds),
      framesPerSecond: Math.round(framesSeen / seconds),
      tokensPerFrame: round(counted / framesSeen),
      cpuCores: round((user + system) / 1e6 / seconds),
      cpuMicrosecondsPerToken: round((user + system) / counted),
      rssMb: Math.round(rss / 2 ** 20),
      kibPerStream: round((rss - rssBefore) / 1024 / streams),
      killed: {
        workers: victims.length,
        lastStreamMs: Math.round(lastFailureMs - killedMs),
        lastWorkerMs: Math.round(lastWorkerMs - killedMs),
      },
    };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
}

async function read(
  { engine, card }: WorkerHandle,
  i: number,
  count: (tokens: number) => void,
): Promise<void> {
  const request = createRequest({
    id: `r${i}`,
    model: card.model,
    promptIds: Uint32Array.of(1, 2, i),
    limits: { maxTokens: 30_000, ignoreEos: true },
  });
  for await (const { ids } of engine.generate(request, { signal: new AbortController().signal }))
    count(ids.length);
}

const round = (value: number): number => Math.round(value * 100) / 100;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// This file is its own worker process.
if (process.argv[1] === import.meta.filename) {
  const [, , dir = "", name = "", count = "1", stepMs = "40"] = process.argv;
  watchSupervisor();
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  for (let i = 0; i < Number(count); i++) {
    const engine = createSimulatedEngine({
      stepTime: linearStepTime({ baseMs: Number(stepMs) }),
      kvBlocks: 4_096,
    });
    await runtime.serveEngine(engine, { role: "both", id: `${name}-${i}` });
  }
}

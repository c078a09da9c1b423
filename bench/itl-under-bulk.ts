// Inter-token latency of 64 streams, undisturbed, and while a 128k-token prompt with log probabilities and a KV index
// snapshot of a million blocks pass the same worker: `npm run bench -- itl-under-bulk --json`. Aim: p99 at most 1.5 ×.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createRequest, wrapEngine, type Engine, type KvEventBatch, type WorkerHandle } from "@stator/core";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createRuntime, fileDiscovery, notifyReady, watchSupervisor, type Runtime } from "@stator/runtime";

const streams = 64;
const stepMs = 10;
const phaseMs = 6_000;
const promptTokens = 131_072;
const snapshotBlocks = 1_000_000;

interface Gaps {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
}

export async function run(): Promise<{
  undisturbed: Gaps;
  disturbed: Gaps;
  ratioP99: number;
  snapshotBlocks: number;
  promptTokens: number;
}> {
  const dir = await mkdtemp(path.join(tmpdir(), "stator-itl-"));
  const args = ["--import", "tsx", import.meta.filename, dir];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    await once(child, "message");
    await using runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
    const { engine } = await firstWorker(runtime);
    const stops = Array.from({ length: streams }, () => new AbortController());
    const gaps: number[][] = [[], []];
    let phase = 0;
    const running = Promise.allSettled(
      stops.map(({ signal }, i) => follow(engine, i, signal, (gapMs) => gaps[phase]!.push(gapMs))),
    );
    await pause(phaseMs);
    phase = 1;
    const seen = await Promise.all([pause(phaseMs), longPrompt(engine), snapshotElsewhere(dir)]);
    for (const stop of stops) stop.abort();
    await running;
    const [undisturbed, disturbed] = gaps.map(summary) as [Gaps, Gaps];
    return {
      undisturbed,
      disturbed,
      ratioP99: Math.round((disturbed.p99Ms / undisturbed.p99Ms) * 100) / 100,
      snapshotBlocks: seen[2],
      promptTokens,
    };
  } finally {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
}

async function follow(
  engine: Engine,
  index: number,
  signal: AbortSignal,
  onGap: (gapMs: number) => void,
): Promise<void> {
  const request = createRequest({
    id: `s${index}`,
    model: "simulated",
    promptIds: Uint32Array.of(index, 1, 2, 3),
    limits: { maxTokens: 100_000, ignoreEos: true },
  });
  let lastMs: number | undefined;
  for await (const { ids } of engine.generate(request, { signal })) {
    const nowMs = performance.now();
    // A batch of n tokens is a gap shared by n.
    if (lastMs !== undefined) for (let i = 0; i < ids.length; i++) onGap((nowMs - lastMs) / ids.length);
    lastMs = nowMs;
  }
}

async function longPrompt(engine: Engine): Promise<void> {
  const promptIds = Uint32Array.from({ length: promptTokens }, (_, i) => (i * 7) % 250);
  const request = createRequest({
    id: "long",
    model: "simulated",
    promptIds,
    limits: { maxTokens: 32, ignoreEos: true },
    topLogprobs: 5,
  });
  for await (const _ of engine.generate(request, { signal: AbortSignal.timeout(60_000) })) void _;
}

/** Another caller that joins late and gets the whole index. */
async function snapshotElsewhere(dir: string): Promise<number> {
  await using other = await createRuntime({ discovery: fileDiscovery({ dir }) });
  const { engine } = await firstWorker(other);
  // Awaited here: `other` lives until then.
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no snapshot within 60 s")), 60_000);
    engine.onStatus?.(({ events }) => {
      const blocks = (events ?? [])
        .filter(({ isSnapshot }) => isSnapshot === true)
        .flatMap((batch) => batch.events);
      if (blocks.length === 0) return;
      clearTimeout(timer);
      resolve(
        blocks.reduce((sum, event) => sum + (event.type === "stored" ? event.sequenceHashes.length : 0), 0),
      );
    });
  });
}

function firstWorker(runtime: Runtime): Promise<WorkerHandle> {
  const source = runtime.workers();
  const [present] = source.current();
  if (present !== undefined) return Promise.resolve(present);
  return new Promise((resolve) => source.onChange((change) => resolve(change.handle)));
}

function summary(gaps: readonly number[]): Gaps {
  const sorted = Float64Array.from(gaps).sort();
  const at = (q: number): number =>
    Math.round((sorted[Math.floor(q * (sorted.length - 1))] ?? 0) * 100) / 100;
  return { p50Ms: at(0.5), p99Ms: at(0.99), count: sorted.length };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// This file is its own worker process.
if (process.argv[1] === import.meta.filename) {
  watchSupervisor();
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir: process.argv[2]! }) });
  const inner = createSimulatedEngine({
    contextTokens: 200_000,
    kvBlocks: 40_000,
    stepTime: linearStepTime({ baseMs: stepMs }),
  });
  // As after a long life: the ring has forgotten the beginning, so whoever joins needs the snapshot.
  const past = 1n << 32n;
  let last = past;
  const onStatus: NonNullable<Engine["onStatus"]> = (listener) =>
    inner.onStatus!((status) => {
      const events = status.events?.map((batch) => ({ ...batch, sequence: (last = batch.sequence + past) }));
      listener(events === undefined ? status : { ...status, events });
    });
  const snapshot = (): KvEventBatch => ({
    worker: "simulated",
    epoch: "0",
    sequence: last,
    isSnapshot: true,
    events: Array.from({ length: snapshotBlocks / 10_000 }, (_, k) => ({
      type: "stored" as const,
      sequenceHashes: BigUint64Array.from(
        { length: 10_000 },
        (_, i) => BigInt(k * 10_000 + i) * 0x9e3779b97f4a7c15n,
      ),
      tier: "device" as const,
      rank: 0,
    })),
  });
  await runtime.serveEngine(wrapEngine(inner, { snapshot, onStatus }), {
    role: "both",
    capacity: { requests: 256 },
  });
  const first = createRequest({
    id: "first",
    model: "simulated",
    promptIds: new Uint32Array(64).fill(9),
    limits: { maxTokens: 1 },
  });
  for await (const _ of inner.generate(first, { signal: AbortSignal.timeout(10_000) })) void _;
  notifyReady();
}

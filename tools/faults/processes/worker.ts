// A worker process of the fault rig: real engine, real transfer, real runtime, and commands to hurt it from within.
import { wrapEngine, type Engine } from "@stator/core";
import { createSimulatedEngine, linearStepTime, type SimulatedEngine } from "@stator/engines/simulated";
import { closeOnSignal, createRuntime, fileDiscovery, type Discovery } from "@stator/runtime";
import { answerRig, notedEngine } from "@stator/testing";
import type { WorkerConfig } from "./worker-config.ts";
import { createWorkerTransfer } from "./worker-transfer.ts";

const config = JSON.parse(process.argv[2] ?? "{}") as WorkerConfig;
const transfer = await createWorkerTransfer(config);

let simulated: SimulatedEngine | undefined;
const engine: Engine & { close(): Promise<void> } =
  config.engine === "llama" ? await llama() : (simulated = simulate());

function simulate(): SimulatedEngine {
  const made = createSimulatedEngine({
    model: "tiny",
    worker: config.name,
    epoch: String(process.pid),
    stepTime: linearStepTime({ baseMs: config.stepMs, perPrefillTokenMs: config.perPrefillTokenMs }),
    kvBlocks: config.kvBlocks,
    blockBytes: config.blockBytes,
    maxRunning: config.requests,
    leaseMs: config.leaseMs,
    transfer,
    onCrash: () => process.exit(70),
  });
  made.poison(config.poisonId);
  return made;
}

async function llama(): Promise<Engine & { close(): Promise<void> }> {
  const { createLlamaEngine, tinyModelPath } = await import("@stator/engines/llama");
  return createLlamaEngine({
    model: "tiny",
    modelPath: tinyModelPath(),
    exact: true,
    sequences: 8,
    contextTokens: 1_024,
    leaseMs: config.leaseMs,
    transfer,
  });
}

async function discovery(): Promise<Discovery> {
  const address = config.discovery;
  if (address.startsWith("redis:"))
    return (await import("@stator/runtime/redis")).redisDiscovery({ url: address });
  if (address.startsWith("nats:"))
    return (await import("@stator/runtime/nats")).natsDiscovery({ servers: address });
  return fileDiscovery({ dir: address.slice("file:".length) });
}

const noted = notedEngine(engine);
const { contract } = config;
const offered =
  contract === undefined
    ? noted
    : wrapEngine(noted, { card: { ...engine.card!, contract } } as Partial<Engine>);
const runtime = await createRuntime({
  discovery: await discovery(),
  ...(config.events === undefined
    ? {}
    : { events: (await import("@stator/runtime/nats")).natsEvents({ servers: config.events }) }),
});
await runtime.serveEngine(offered, {
  role: config.role,
  id: config.name,
  capacity: { requests: config.requests, queue: config.queue, kvBlocks: config.kvBlocks },
});

const hurt = (): SimulatedEngine => {
  if (simulated === undefined) throw new Error("Only a simulated engine can do this.");
  return simulated;
};
const kept: unknown[] = [];
const RealDate = Date;
let skewMs = 0;
globalThis.Date = class extends RealDate {
  constructor(...given: []) {
    // With arguments it is a date as ever; without, it is now.
    if (given.length > 0) super(...given);
    else super(RealDate.now() + skewMs);
  }
  static override now(): number {
    return RealDate.now() + skewMs;
  }
} as DateConstructor;
await answerRig({
  freeze: () => hurt().freeze(),
  thaw: () => hurt().thaw(),
  hurtTransfer: (what) => transfer.hurtNext(what),
  slow: (factor) => hurt().slowDown(Number(factor)),
  /** Steps this process's wall clock. */
  skew(ms) {
    skewMs = Number(ms);
    return { nowMs: Date.now() };
  },
  /** Takes memory until V8 gives up. */
  devour() {
    const more = (): void => {
      for (let i = 0; i < 200; i++) kept.push(new Array<number>(100_000).fill(i + 0.5));
      setImmediate(more);
    };
    setImmediate(more);
  },
  state: () => ({
    usedBlocks: simulated?.usedBlocks() ?? 0,
    openOffers: transfer.openOffers,
    rssBytes: process.memoryUsage.rss(),
    handles: process.getActiveResourcesInfo().length,
  }),
});

await closeOnSignal(runtime);
await engine.close();
await transfer.close();
process.exit(0);

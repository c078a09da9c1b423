// A worker process of the fault rig: real engine, real transfer, real runtime, and commands to hurt it from within.
import { wrapEngine, type Engine } from "@stator/core";
import { createSimulatedEngine, linearStepTime, type SimulatedEngine } from "@stator/engines/simulated";
import { createTransferEnds, loopback, tcp, type TransferEnds } from "@stator/kv-transfer";
import { closeOnSignal, createRuntime, fileDiscovery, type Discovery } from "@stator/runtime";
import { answerRig, notedEngine, noteToRig } from "@stator/testing";
import type { WorkerConfig } from "./worker-config.ts";

const config = JSON.parse(process.argv[2] ?? "{}") as WorkerConfig;
const ends = await createTransferEnds(config.isTcp ? { transports: [loopback(), tcp()] } : {});
let openOffers = 0;

/** The ends, telling the rig of fetches and counting what is held for others. */
const transfer: Pick<TransferEnds, "source" | "sink"> = {
  source: {
    async offer(options) {
      const offer = await ends.source.offer(options);
      openOffers += 1;
      void offer.ended.then(() => (openOffers -= 1));
      return offer;
    },
  },
  sink: {
    ...ends.sink,
    async fetch(opaque, options) {
      noteToRig({ type: "fetching" });
      if (config.holdFetchMs > 0) await new Promise((resolve) => setTimeout(resolve, config.holdFetchMs));
      try {
        const blocks = await ends.sink.fetch(opaque, options);
        noteToRig({ type: "fetched" });
        return blocks;
      } catch (error) {
        noteToRig({ type: "fetchFailed", error: String(error) });
        throw error;
      }
    },
  },
};

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
    openOffers,
    rssBytes: process.memoryUsage.rss(),
    handles: process.getActiveResourcesInfo().length,
  }),
});

await closeOnSignal(runtime);
await engine.close();
await ends.close();
process.exit(0);

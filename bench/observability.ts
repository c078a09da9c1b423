/**
 * What seeing costs: CPU per token of the frontend's process over the whole serving path, without anything, with metrics,
 * and with traces at 1 % too; and, by samples, the share of that work which is done in the code of metrics and tracing.
 *
 *   npm run bench -- observability [--streams 64] [--tokens 350] [--rounds 200] [--seed 1] [--json]
 *
 * The path is that of `serving`'s `http`: SSE, one event per token, migrating, pool, session, and the simulated engine
 * in a worker process; the client is a process of its own too. One server answers all variants, a model each, in windows
 * of a fraction of a second (`parts/interleaved`), and each is compared with another one of the same round: these
 * machines are noisy. 350 tokens: the mean answer of the Mooncake conversation trace is 343. "plain again" shows what is left of the noise: what nothing costs.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";
import type { Engine } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer, type MetricsSource } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { createTracing } from "@stator/metrics/otel";
import { type ClosablePool, createPool, migrating } from "@stator/router";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { createCountingClient } from "./parts/counting-client.ts";
import { interleaved, median, surplus } from "./parts/interleaved.ts";
import { sampledShare } from "./parts/sampled-share.ts";

interface Variant {
  /** A name of the server's models. */
  readonly name: string;
  /** The variant that it is compared with: all but what is asked for. */
  readonly over?: string;
  readonly hasMetrics?: boolean;
  readonly tracedShare?: number;
}

const variants: readonly Variant[] = [
  { name: "plain" },
  { name: "plain again", over: "plain" },
  { name: "metrics", over: "plain", hasMetrics: true },
  { name: "metrics, traces 1 %", over: "metrics", hasMetrics: true, tracedShare: 0.01 },
  { name: "metrics, traces 100 %", over: "metrics", hasMetrics: true, tracedShare: 1 },
];
const warmRounds = 20;
const sampledWindows = 40;
/** Code whose work is what seeing costs. */
const seeing = /packages\/metrics\/|@opentelemetry\/|prom-client\//;

/** Spans are made, ended and batched; what a collector's wire costs is its exporter's. */
const nowhere: SpanExporter = {
  export: (_spans, done) => done({ code: 0 }),
  shutdown: () => Promise.resolve(),
};

interface Serving {
  readonly port: number;
  close(): Promise<void>;
}

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      streams: { type: "string", default: "64" },
      tokens: { type: "string", default: "350" },
      rounds: { type: "string", default: "200" },
      seed: { type: "string", default: "1" },
    },
  });
  const [streams, tokens, rounds, seed] = [values.streams, values.tokens, values.rounds, values.seed].map(
    Number,
  ) as [number, number, number, number];
  const dir = mkdtempSync(path.join(tmpdir(), "stator-bench-"));
  const worker = await startWorker(dir, streams, tokens);
  const client = await createCountingClient();
  let serving: Serving | undefined;
  try {
    const { port } = (serving = await serve(dir));
    const bodies = variants.map(({ name }) =>
      JSON.stringify({
        model: name,
        prompt: "The quick brown fox",
        max_tokens: tokens,
        stream: true,
        ignore_eos: true,
      }),
    );
    const window = async (variant: number): Promise<number> => {
      const before = process.cpuUsage();
      const { failures } = await client.run({ port, streams, body: bodies[variant] as string });
      const { user, system } = process.cpuUsage(before);
      if (failures.length > 0) throw new Error(`${failures.length} streams broke off: ${failures[0]}`);
      return (user + system) / (streams * tokens);
    };
    await interleaved(variants.length, warmRounds, seed, window);
    const costs = await interleaved(variants.length, rounds, seed, window);
    const shares = [];
    for (let variant = 0; variant < variants.length; variant++)
      shares.push(
        await sampledShare(seeing, async () => {
          for (let i = 0; i < sampledWindows; i++) await window(variant);
        }),
      );
    return {
      streams,
      tokensPerStream: tokens,
      rounds,
      seed,
      variants: variants.map(({ name, over }, variant) => {
        const own = costs[variant] as readonly number[];
        const other = costs[variants.findIndex((one) => one.name === over)];
        return {
          name,
          cpuMicrosecondsPerToken: Number(median(own).toFixed(3)),
          ...(other === undefined ? {} : { over, ...surplus(own, other, seed) }),
          sampled: shares[variant],
        };
      }),
    };
  } finally {
    await serving?.close();
    client.close();
    worker.kill();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** One server with a model for each variant, over the same worker. */
async function serve(dir: string): Promise<Serving> {
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  const workers = runtime.workers({ model: "bench" });
  const metrics = createMetrics();
  const stopWatching = metrics.watchWorkers(workers);
  const pools: ClosablePool[] = [];
  const providers: BasicTracerProvider[] = [];
  const graphOf = ({ hasMetrics, tracedShare }: Variant): Engine => {
    const meter = hasMetrics === true ? { meter: metrics } : {};
    if (tracedShare === undefined) {
      const pool = createPool({ workers, ...meter });
      pools.push(pool);
      return migrating(pool);
    }
    const provider = new BasicTracerProvider({
      sampler: new TraceIdRatioBasedSampler(tracedShare),
      spanProcessors: [new BatchSpanProcessor(nowhere)],
    });
    providers.push(provider);
    const tracing = createTracing({ tracer: provider.getTracer("bench") });
    const pool = createPool({ workers: tracing.tracedWorkers(workers), ...meter });
    pools.push(pool);
    return tracing.traced(migrating(pool));
  };
  const measured = new Set(variants.filter(({ hasMetrics }) => hasMetrics).map(({ name }) => name));
  const source: MetricsSource = {
    contentType: metrics.contentType,
    expose: () => metrics.expose(),
    startRequest: (facts) => (measured.has(facts.model) ? metrics.startRequest(facts) : undefined),
  };
  const server = createOpenAIServer({
    models: Object.fromEntries(variants.map((variant) => [variant.name, graphOf(variant)])),
    metrics: source,
  });
  while (pools.some(({ card }) => card === undefined))
    await new Promise((resolve) => setTimeout(resolve, 10));
  const { port } = await server.listen({ port: 0 });
  return {
    port,
    async close() {
      stopWatching();
      await server.close();
      for (const pool of pools) await pool.close();
      await runtime.close();
      for (const provider of providers) await provider.shutdown();
    },
  };
}

async function startWorker(dir: string, streams: number, tokens: number): Promise<ChildProcess> {
  const args = ["worker", dir, String(streams), String(tokens)];
  const child = fork(fileURLToPath(import.meta.url), args, {
    execArgv: ["--import", "tsx"],
  });
  await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`The worker ended with ${code}.`)));
  });
  return child;
}

async function work(dir: string, streams: number, tokens: number): Promise<void> {
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  const engine = createSimulatedEngine({
    model: "bench",
    contextTokens: tokens + 1000,
    kvBlocks: Math.ceil(((tokens + 1000) / 16) * streams),
    maxRunning: streams,
  });
  await runtime.serveEngine(engine, { role: "both", capacity: { requests: streams } });
  process.send?.("ready");
}

const [mode, ...rest] = process.argv.slice(2);
if (process.send !== undefined && mode === "worker")
  await work(rest[0] ?? "", Number(rest[1]), Number(rest[2]));

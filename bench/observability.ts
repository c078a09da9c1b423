/**
 * What seeing costs: CPU per token of the frontend's process over the whole serving path, without anything, with metrics,
 * and with traces at 1 % too; and, by samples, the share of that work which is done in the code of metrics and tracing.
 *
 *   npm run bench -- observability [--streams 64] [--tokens 4000] [--rounds 21] [--step-ms 0] [--json]
 *
 * The path is that of `serving`'s `http`: SSE, one event per token, migrating, pool, session, and the simulated engine
 * in a worker process; the client is a process of its own too. Rounds are interleaved in a turning order, and each
 * variant is compared with the plain one of its own round: these machines are noisy. Two plain variants, so that the
 * noise is seen as well.
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
  InMemorySpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";
import { createConsole } from "@stator/console";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { createTracing } from "@stator/metrics/otel";
import { createPool, migrating } from "@stator/router";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { createCountingClient } from "./parts/counting-client.ts";
import { sampledShare } from "./parts/sampled-share.ts";

interface What {
  readonly hasMetrics?: boolean;
  readonly hasConsole?: boolean;
  readonly tracedShare?: number;
}

const variants: Readonly<Record<string, What>> = {
  plain: {},
  "plain again": {},
  metrics: { hasMetrics: true },
  "metrics, console": { hasMetrics: true, hasConsole: true },
  "metrics, traces 1 %": { hasMetrics: true, tracedShare: 0.01 },
  "metrics, traces 100 %": { hasMetrics: true, tracedShare: 1 },
};
const warmRounds = 3;
const sampledRounds = 5;
/** Code whose work is what seeing costs. */
const seeing = /packages\/(?:metrics|console)\/|@opentelemetry\/|prom-client\//;

interface Variant {
  readonly name: string;
  readonly port: number;
  close(): Promise<void>;
}

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      streams: { type: "string", default: "64" },
      tokens: { type: "string", default: "4000" },
      rounds: { type: "string", default: "21" },
      "step-ms": { type: "string", default: "0" },
    },
  });
  const streams = Number(values.streams);
  const tokens = Number(values.tokens);
  const rounds = Number(values.rounds);
  const dir = mkdtempSync(path.join(tmpdir(), "stator-bench-"));
  const worker = await startWorker(dir, streams, tokens, Number(values["step-ms"]));
  const client = await createCountingClient();
  const running: Variant[] = [];
  try {
    for (const [name, what] of Object.entries(variants)) running.push(await start(name, what, dir));
    const body = JSON.stringify({
      model: "bench",
      prompt: "The quick brown fox",
      max_tokens: tokens,
      stream: true,
      ignore_eos: true,
    });
    const times = running.map((): number[] => []);
    for (let round = 0; round < rounds + warmRounds; round++)
      // The order turns, so that no variant always follows the same one.
      for (let j = 0; j < running.length; j++) {
        const at = (round + j) % running.length;
        const { port, name } = running[at] as Variant;
        globalThis.gc?.();
        const before = process.cpuUsage();
        const { failures } = await client.run({ port, streams, body });
        const { user, system } = process.cpuUsage(before);
        if (failures.length > 0)
          throw new Error(`${failures.length} streams of "${name}" broke off: ${failures[0]}`);
        if (round >= warmRounds) times[at]?.push((user + system) / (streams * tokens));
      }
    const shares = [];
    for (const { port } of running)
      shares.push(
        await sampledShare(seeing, async () => {
          for (let round = 0; round < sampledRounds; round++) await client.run({ port, streams, body });
        }),
      );
    const plain = times[0] as number[];
    return {
      streams,
      tokensPerStream: tokens,
      rounds,
      stepMs: Number(values["step-ms"]),
      variants: running.map(({ name }, v) => {
        const own = times[v] as number[];
        const over = own.map((us, round) => 100 * (us / (plain[round] as number) - 1));
        return {
          name,
          cpuMicrosecondsPerToken: Number(quantile(own, 0.5).toFixed(3)),
          overPlainPercent: Number(quantile(over, 0.5).toFixed(2)),
          quartilesPercent: [quantile(over, 0.25), quantile(over, 0.75)].map((x) => Number(x.toFixed(2))),
          sampled: shares[v],
        };
      }),
    };
  } finally {
    for (const variant of running) await variant.close();
    client.close();
    worker.kill();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function start(name: string, what: What, dir: string): Promise<Variant> {
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  const provider = new BasicTracerProvider({
    sampler: new TraceIdRatioBasedSampler(what.tracedShare ?? 0),
    spanProcessors: [new BatchSpanProcessor(new InMemorySpanExporter())],
  });
  const tracing =
    what.tracedShare === undefined ? undefined : createTracing({ tracer: provider.getTracer("bench") });
  const plainWorkers = runtime.workers({ model: "bench" });
  const workers = tracing?.tracedWorkers(plainWorkers) ?? plainWorkers;
  const metrics = what.hasMetrics === true ? createMetrics() : undefined;
  const stop = metrics?.watchWorkers(workers);
  const pool = createPool({ workers, ...(metrics === undefined ? {} : { meter: metrics }) });
  const graph = migrating(pool);
  const page = what.hasConsole === true ? createConsole({ workers }) : undefined;
  const server = createOpenAIServer({
    models: { bench: tracing?.traced(graph) ?? graph },
    ...(metrics === undefined ? {} : { metrics }),
    ...(page === undefined ? {} : { observers: [page.observer], routes: page.routes }),
  });
  while (pool.card === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  const { port } = await server.listen({ port: 0 });
  return {
    name,
    port,
    async close() {
      stop?.();
      page?.close();
      await server.close();
      await pool.close();
      await runtime.close();
      await provider.shutdown();
    },
  };
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

async function startWorker(
  dir: string,
  streams: number,
  tokens: number,
  stepMs: number,
): Promise<ChildProcess> {
  const args = ["worker", dir, String(streams), String(tokens), String(stepMs)];
  const child = fork(fileURLToPath(import.meta.url), args, {
    execArgv: ["--import", "tsx"],
  });
  await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`The worker ended with ${code}.`)));
  });
  return child;
}

async function work(dir: string, streams: number, tokens: number, stepMs: number): Promise<void> {
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  const engine = createSimulatedEngine({
    model: "bench",
    contextTokens: tokens + 1000,
    kvBlocks: Math.ceil(((tokens + 1000) / 16) * streams),
    maxRunning: streams,
    ...(stepMs === 0 ? {} : { stepTime: linearStepTime({ baseMs: stepMs }) }),
  });
  await runtime.serveEngine(engine, { role: "both", capacity: { requests: streams } });
  process.send?.("ready");
}

const [mode, ...rest] = process.argv.slice(2);
if (process.send !== undefined && mode === "worker")
  await work(rest[0] ?? "", Number(rest[1]), Number(rest[2]), Number(rest[3]));

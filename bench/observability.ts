// What seeing costs: CPU per token of a whole serving path without, with metrics and console, and with traces at 1 % too.
// Rounds are interleaved, and each variant is compared with the plain one of its own round.
import {
  BatchSpanProcessor,
  BasicTracerProvider,
  InMemorySpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";
import { createConsole } from "@stator/console";
import type { Engine } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer, type OpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { createTracing } from "@stator/metrics/otel";
import { createPool, migrating } from "@stator/router";
import { createRuntime } from "@stator/runtime";

const requests = 16;
const tokens = 256;
const rounds = 21;

interface Variant {
  readonly name: string;
  readonly url: string;
  close(): Promise<void>;
}

async function variant(
  name: "plain" | "metrics" | "metrics, console" | "metrics, traces 1 %" | "metrics, traces 100 %",
): Promise<Variant> {
  const exporter = new InMemorySpanExporter();
  const share = name.endsWith("100 %") ? 1 : 0.01;
  const provider = new BasicTracerProvider({
    sampler: new TraceIdRatioBasedSampler(share),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracing = createTracing({ tracer: provider.getTracer("bench") });
  const hasMetrics = name !== "plain";
  const hasTraces = name.includes("traces");
  const metrics = createMetrics();
  const runtime = await createRuntime();
  for (const id of ["a", "b"]) {
    const engine: Engine = createSimulatedEngine({ model: "tiny", worker: id });
    await runtime.serveEngine(hasTraces ? tracing.tracedWorker(engine, { id }) : engine, {
      role: "both",
      id,
    });
  }
  const workers = hasTraces ? tracing.tracedWorkers(runtime.workers()) : runtime.workers();
  const stop = hasMetrics ? metrics.watchWorkers(workers) : undefined;
  const pool = createPool({ workers });
  const graph = migrating(pool);
  const page = name.includes("console") ? createConsole({ workers }) : undefined;
  const server: OpenAIServer = createOpenAIServer({
    models: { tiny: hasTraces ? tracing.traced(graph) : graph },
    ...(hasMetrics ? { metrics } : {}),
    ...(page === undefined ? {} : { observers: [page.observer], routes: page.routes }),
  });
  const { url } = await server.listen({ port: 0 });
  return {
    name,
    url,
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

/** CPU of this process, user and system, per output token, in µs. */
async function round(url: string): Promise<number> {
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: requests }, async (_, i) => {
      const response = await fetch(`${url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "tiny",
          prompt: `Request ${i}`,
          stream: true,
          max_tokens: tokens,
          ignore_eos: true,
        }),
      });
      await response.arrayBuffer();
    }),
  );
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (requests * tokens);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

export async function run(): Promise<unknown> {
  const variants = [];
  for (const name of [
    "plain",
    "metrics",
    "metrics, console",
    "metrics, traces 1 %",
    "metrics, traces 100 %",
  ] as const)
    variants.push(await variant(name));
  const times = variants.map((): number[] => []);
  for (let i = 0; i < rounds + 4; i++) {
    // The order turns, so that no variant always follows the same one.
    for (let j = 0; j < variants.length; j++) {
      const at = (i + j) % variants.length;
      const us = await round((variants[at] as Variant).url);
      if (i >= 4) times[at]?.push(us);
    }
  }
  for (const one of variants) await one.close();
  const plain = times[0] as number[];
  return {
    requests,
    tokens,
    rounds,
    variants: variants.map(({ name }, v) => {
      const own = times[v] as number[];
      return {
        name,
        cpuUsPerToken: Number(median(own).toFixed(2)),
        overPlainPercent: Number(
          (100 * median(own.map((us, i) => us / (plain[i] as number) - 1))).toFixed(2),
        ),
      };
    }),
  };
}

import { createConsole, type Console } from "@stator/console";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createOpenAIServer, type OpenAIServer } from "@stator/frontend";
import { createMetrics, type Metrics } from "@stator/metrics";
import { createGpuSampler, dcgmExporter, type GpuSource, nvidiaSmi } from "@stator/metrics/gpu";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import { createRuntime, type Runtime, type ServedEngine } from "@stator/runtime";

export interface ObservedGraph extends AsyncDisposable {
  readonly server: OpenAIServer;
  readonly metrics: Metrics;
  readonly page: Console;
  readonly workers: ReadonlyMap<string, ServedEngine>;
  /** Another life for a worker that was killed. */
  start(role: "prefill" | "decode", id: string): Promise<void>;
}

export interface ObservedGraphOptions {
  /** Default: dcgm-exporter, then nvidia-smi. */
  readonly gpuSources?: readonly GpuSource[];
  readonly prefill?: number;
  readonly decode?: number;
}

/** Simulated prefill and decode workers with the pace of a small model, and everything there is to see them by. */
export async function observedGraph(options: ObservedGraphOptions = {}): Promise<ObservedGraph> {
  const metrics = createMetrics({
    hierarchy: { namespace: "example" },
    slos: [
      { name: "availability", objective: 0.999 },
      { name: "ttft", objective: 0.99, thresholdSeconds: 0.5 },
      { name: "itl", objective: 0.99, thresholdSeconds: 0.05 },
    ],
  });
  const runtime: Runtime = await createRuntime({ metrics });
  const workers = new Map<string, ServedEngine>();

  async function start(role: "prefill" | "decode", id: string): Promise<void> {
    const engine = createSimulatedEngine({
      model: "tiny",
      worker: id,
      kvBlocks: 1_024,
      maxRunning: 16,
      stepTime: linearStepTime({ baseMs: 8, perSequenceMs: 0.4, perPrefillTokenMs: 0.12 }),
    });
    workers.set(
      id,
      await runtime.serveEngine(engine, { role, id, capacity: { requests: 16, queue: 32, kvBlocks: 1_024 } }),
    );
  }
  for (let i = 0; i < (options.prefill ?? 2); i++) await start("prefill", `prefill-${i}`);
  for (let i = 0; i < (options.decode ?? 4); i++) await start("decode", `decode-${i}`);

  const all = runtime.workers();
  const prefill = createPool({
    workers: runtime.workers({ model: "tiny", role: "prefill" }),
    meter: metrics,
  });
  const decode = createPool({
    workers: runtime.workers({ model: "tiny", role: "decode" }),
    meter: metrics,
  });
  const tiny = migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(64) }), {
    meter: metrics,
  });

  // The three lines that make it visible: workers, requests, GPUs.
  const stopWorkers = metrics.watchWorkers(all);
  const page = createConsole({ workers: all, title: "Stator example" });
  const gpus = createGpuSampler({ metrics, sources: options.gpuSources ?? [dcgmExporter(), nvidiaSmi()] });
  const server = createOpenAIServer({
    models: { tiny },
    metrics,
    observers: [page.observer],
    routes: page.routes,
  });

  return {
    server,
    metrics,
    page,
    workers,
    start,
    async [Symbol.asyncDispose]() {
      gpus.close();
      page.close();
      stopWorkers();
      await server.close();
      await Promise.all([prefill.close(), decode.close()]);
      await runtime.close();
    },
  };
}

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { TransferService } from "@stator/contracts";
import type { LayoutEngine, WorkerRole } from "@stator/core";
import { createTransferEnds, createTransferService, loopback, tcp } from "@stator/kv-transfer";
import { createMetrics, type Metrics } from "@stator/metrics";
import { closeOnSignal, createRuntime, notifyReady, watchSupervisor } from "@stator/runtime";
import { discoveryFrom } from "./discovery-from-layout.ts";
import { engineFromLayout } from "./engine-from-layout.ts";
import { createLogger } from "./logger.ts";

export interface WorkerProcessOptions {
  readonly model: string;
  readonly role: WorkerRole;
  readonly engine: LayoutEngine;
  readonly id?: string;
  readonly namespace: string;
  readonly discovery: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Interface that callers reach this worker on. Default 127.0.0.1. */
  readonly host?: string;
  /** What callers are told. Default: the host. */
  readonly advertise?: string;
  /** Port of `/metrics`, `/health` and `/ready`; 0 picks one, absent serves none. */
  readonly metricsPort?: number;
  /** Interface of the metrics port. Default 127.0.0.1. */
  readonly metricsHost?: string;
  readonly logLevel: "silent" | "error" | "warn" | "info" | "debug";
  readonly onReady: (worker: { readonly id: string; readonly metricsPort?: number }) => void;
}

/** One engine process: serves its engine to the namespace until a signal, then drains. Resolves once all is closed. */
export async function runWorker(options: WorkerProcessOptions): Promise<void> {
  const logger = createLogger(options.logLevel, { process: "worker", worker: options.id });
  const metrics = createMetrics({ hierarchy: { namespace: options.namespace, component: options.role } });
  const { host = "127.0.0.1", advertise = host } = options;
  const transfer = await createTransferEnds({
    logger,
    meter: metrics,
    // Reached from other hosts: KV goes the way that calls come.
    ...(host === "127.0.0.1" ? {} : { transports: [loopback(), tcp({ host, advertise })] }),
  });
  const runtime = await createRuntime({
    discovery: await discoveryFrom(options.discovery),
    namespace: options.namespace,
    listen: { host, advertise },
    metrics,
    logger,
  });
  const engine = await engineFromLayout(options.engine, {
    model: options.model,
    // Without an id of its own a worker leaves nothing behind for a successor to find.
    worker: options.id ?? `process-${process.pid}`,
    transfer,
    sharedCache: (name) => ({ client: runtime.client(TransferService, { name }), agent: transfer.agent }),
    logger,
    meter: metrics,
  });
  const served = await runtime.serveEngine(engine, {
    role: options.role,
    labels: options.labels,
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(options.engine.kind === "llama" ? { capacity: { requests: options.engine.sequences ?? 4 } } : {}),
    ...(engine.size === undefined
      ? {}
      : {
          ranks: engine.size.ranks,
          capacity: {
            kvBlocks: engine.size.kvBlocks,
            // Servers queue by themselves; where they do not say how many run, placement goes by their load.
            requests: engine.size.sequences ?? 256,
          },
        }),
  });
  const control = createTransferService({ agent: transfer.agent });
  await runtime.serveService(TransferService, control.implementation, { name: served.worker.id });
  const scrape =
    options.metricsPort === undefined
      ? undefined
      : await serveMetrics(metrics, options.metricsPort, options.metricsHost ?? "127.0.0.1");
  const metricsPort = (scrape?.address() as AddressInfo | undefined)?.port;
  watchSupervisor();
  notifyReady({ worker: served.worker.id, ...(metricsPort === undefined ? {} : { metricsPort }) });
  options.onReady({ id: served.worker.id, ...(metricsPort === undefined ? {} : { metricsPort }) });

  await closeOnSignal(runtime);
  scrape?.close();
  scrape?.closeAllConnections();
  await control.close();
  await engine.close();
  await transfer.close();
}

/** Listens once the worker is registered, so that an answer to `/ready` means ready; a drain says so. */
async function serveMetrics(metrics: Metrics, port: number, host: string): Promise<Server> {
  let isDraining = false;
  process.once("SIGTERM", () => (isDraining = true));
  const server = createServer((request, response) => {
    if (request.url === "/health" || request.url === "/ready") {
      const isReady = request.url === "/health" || !isDraining;
      response.writeHead(isReady ? 200 : 503).end(isReady ? "ok" : "draining");
      return;
    }
    if (request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    metrics.expose().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(port, host);
  await once(server, "listening");
  return server;
}

import { createConsole } from "@stator/console";
import type { Layout } from "@stator/core";
import { createOpenAIServer, type ReasoningFormatName, type ToolCallFormatName } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { graphFromLayout } from "@stator/router";
import { closeOnSignal, createRuntime, notifyReady, watchSupervisor } from "@stator/runtime";
import { discoveryFrom } from "./discovery-from-layout.ts";
import { openDecisionFolder } from "../router/decision-folder.ts";
import { createLogger } from "./logger.ts";
import { openReplicas } from "./open-replicas.ts";
import { sampleGpus } from "./sample-gpus.ts";

export interface FrontendProcessOptions {
  readonly layout: Layout;
  readonly port: number;
  readonly host: string;
  readonly logLevel: "silent" | "error" | "warn" | "info" | "debug";
  /** Whether this process measures the GPUs of its machine. */
  readonly measuresGpus: boolean;
  /** Whether workers that join are sent a short prompt to prove their KV events. Default `events`. */
  readonly probe?: "events" | "off";
  /** A folder that gets a file of routing decisions per pool. Default: none are recorded. */
  readonly recordDecisions?: string;
  /** Called once every model has a worker; after 10 s also without, with the models that have none. */
  readonly onReady: (url: string, withoutWorkers: readonly string[]) => void;
}

/** One frontend process: the layout's graph behind an OpenAI server, until a signal; then it drains. */
export async function runFrontend(options: FrontendProcessOptions): Promise<void> {
  const { layout } = options;
  const logger = createLogger(options.logLevel, { process: "frontend" });
  const metrics = createMetrics({ hierarchy: { namespace: layout.namespace } });
  const runtime = await createRuntime({
    discovery: await discoveryFrom(layout.planes.discovery),
    namespace: layout.namespace,
    metrics,
    logger,
  });
  const workers = runtime.workers();
  metrics.watchWorkers(workers);
  const gpus = options.measuresGpus ? sampleGpus(metrics, logger) : undefined;
  const page = createConsole({ workers });
  const replicas = await openReplicas({ events: layout.planes.events, namespace: layout.namespace, logger });
  const decisions =
    options.recordDecisions === undefined
      ? undefined
      : await openDecisionFolder(options.recordDecisions, layout, logger);
  const server = createOpenAIServer({
    models: graphFromLayout(runtime, layout, {
      meter: metrics,
      logger,
      onProbe: page.probed,
      ...(options.probe === undefined ? {} : { probe: options.probe }),
      ...(replicas === undefined ? {} : { replicas: replicas.group }),
      ...(decisions === undefined ? {} : { wrapSelector: decisions.record }),
    }),
    toolCallFormats: namedBy<ToolCallFormatName>(layout, "toolCallFormat"),
    reasoningFormats: namedBy<ReasoningFormatName>(layout, "reasoningFormat"),
    metrics,
    logger,
    observers: [page.observer],
    routes: page.routes,
  });
  const { url, port } = await server.listen({ port: options.port, host: options.host });
  watchSupervisor();
  const withoutWorkers = await server.ready();
  notifyReady({ url, port });
  options.onReady(url, withoutWorkers);
  await closeOnSignal(server, runtime);
  await replicas?.close();
  await decisions?.close();
  page.close();
  gpus?.close();
}

/** Of the models that name one; the server refuses what it does not know. */
function namedBy<T extends string>(
  { models }: Layout,
  field: "toolCallFormat" | "reasoningFormat",
): Record<string, T | "none"> {
  const named = Object.entries(models).flatMap(([name, { [field]: format }]) =>
    format === undefined ? [] : [[name, format as T] as const],
  );
  return Object.fromEntries(named);
}

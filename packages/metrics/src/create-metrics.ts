import type { Meter, RequestEvent, RequestObserver, WorkerSource } from "@stator/core";
import { collectDefaultMetrics, Registry } from "prom-client";
import { type Compat, registerCompat } from "./compat.ts";
import { createMeterCore } from "./instruments/meter-core.ts";
import type { PromRegistry } from "./instruments/prom-metric.ts";
import { invalid } from "./metrics-error.ts";
import { createModelSeries } from "./serving/model-series.ts";
import { createRequestRecorder, type RequestInfo, type RequestRecorder } from "./serving/request-recorder.ts";
import { createServingFamilies } from "./serving/serving-families.ts";
import { createPlanShower, type PoolPlan } from "./serving/show-plan.ts";
import { checkedSlos, defaultSlos, type Slo } from "./serving/slo.ts";
import { createWorkerFamilies, watchWorkers } from "./serving/watch-workers.ts";

/** Where a metric comes from. Each part that is set becomes a label of every metric in the scope. */
export interface Hierarchy {
  readonly namespace?: string;
  readonly component?: string;
  readonly endpoint?: string;
  readonly worker?: string;
}

export interface MetricsOptions {
  /** First part of every name. Default `stator`. */
  readonly prefix?: string;
  /** Labels of all metrics of this process. Default none. */
  readonly hierarchy?: Hierarchy;
  /** A prom-client registry to use; what is in it already is exposed too. Default an own one. */
  readonly registry?: PromRegistry;
  /** Service level objectives; their thresholds become bucket edges. Default `defaultSlos`. */
  readonly slos?: readonly Slo[];
  /** Other systems whose metric names are served as well. Default none. */
  readonly compat?: readonly Compat[];
  /** Exposed series of this process before new label sets become `other`. Default 5,000. */
  readonly maxSeries?: number;
  /** Label sets of one metric before new ones become `other`. Default 500. */
  readonly maxLabelSets?: number;
  /** Whether to expose `process_*` and `nodejs_*`: event loop, GC, memory, file descriptors. Default true. */
  readonly process?: boolean;
  /** Version of the executable, for `stator_build_info`. */
  readonly version?: string;
}

/** Measurements of one process: a `Meter` for libraries and users, the named serving set, and their exposition. */
export interface Metrics extends Meter {
  /** Content type of what `expose` answers. */
  readonly contentType: string;
  /** All metrics in the registry's text format, for a `/metrics` route. */
  expose(): Promise<string>;
  /** The prom-client registry behind it. */
  readonly registry: PromRegistry;
  /** A meter whose metrics carry these labels too, for a component of the user's own. */
  scope(hierarchy: Hierarchy): Meter;
  /** Measures one request: give its `onEvent` to the engine. */
  startRequest(info: RequestInfo): RequestRecorder;
  /** A subscriber for the events of many requests, told apart by their ids; `modelOf` names their model. */
  requestObserver(modelOf: (event: RequestEvent) => string): RequestObserver;
  /** Follows the load, KV use and health of workers. Returns how to stop. */
  watchWorkers(source: WorkerSource): () => void;
  /** Shows what a planner wants of each pool, as `stator_planner_*`. */
  planned(plan: readonly PoolPlan[]): void;
  /** Calls `fn` before each exposition, to set gauges that are read rather than told. Returns how to stop. */
  onScrape(fn: () => void | Promise<void>): () => void;
  /** The objectives that hold. */
  readonly slos: readonly Slo[];
}

/** Requests that `requestObserver` follows at once; the oldest is dropped beyond. */
const mostObservedRequests = 100_000;

/**
 * The metrics of a process.
 *
 * @example
 * const metrics = createMetrics();
 * const hits = metrics.counter({ name: "guardrail_hits", help: "Prompts refused.", labels: ["rule"] });
 * hits.labels({ rule: "pii" }).add();
 * response.end(await metrics.expose());
 *
 * @throws MetricsError `METRICS_OPTION_INVALID`.
 */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const prefix = options.prefix ?? "stator";
  if (!/^[a-z][a-z0-9_]*$/.test(prefix))
    throw invalid(
      "METRICS_OPTION_INVALID",
      `prefix "${prefix}" is not snake case; use letters, digits and "_".`,
    );
  const slos = checkedSlos(options.slos ?? defaultSlos);
  const registry = options.registry ?? new Registry();
  const core = createMeterCore({
    registry,
    maxSeries: atLeastOne("maxSeries", options.maxSeries ?? 5_000),
    maxLabelSets: atLeastOne("maxLabelSets", options.maxLabelSets ?? 500),
    foldedName: `${prefix}_metrics_dropped_labels_total`,
  });
  const labels = labelsOf(options.hierarchy ?? {});
  const meter = core.meter({ prefix, constantLabels: labels });
  const families = createServingFamilies(meter, slos);
  const workers = createWorkerFamilies(meter);
  const modelSeries = createModelSeries(families, slos);
  const scrapeHooks = new Set<() => void | Promise<void>>();
  const scrape = meter
    .gauge({
      name: "metrics_scrape",
      unit: "seconds",
      help: "Time that the exposition before this one took.",
    })
    .labels({});
  meter
    .gauge({
      name: "build_info",
      help: "Always 1; version of this process and its Node.",
      labels: ["version", "node"],
    })
    .labels({ version: options.version ?? "unknown", node: process.version })
    .set(1);
  if (options.process ?? true) collectDefaultMetrics({ register: registry as Registry });
  registerCompat(core, registry, prefix, options.compat ?? []);

  const startRequest = (info: RequestInfo): RequestRecorder =>
    createRequestRecorder(families, modelSeries(info.model), info);

  return {
    ...meter,
    registry,
    slos,
    get contentType() {
      return registry.contentType;
    },
    async expose() {
      const startMs = performance.now();
      await Promise.all([...scrapeHooks].map(async (hook) => hook()));
      const text = await registry.metrics();
      scrape.set((performance.now() - startMs) / 1000);
      return text;
    },
    scope: (hierarchy) => core.meter({ prefix, constantLabels: { ...labels, ...labelsOf(hierarchy) } }),
    startRequest,
    requestObserver(modelOf) {
      const recorders = new Map<string, RequestRecorder>();
      return (event) => {
        const key = `${event.requestId}/${event.choice}`;
        let recorder = recorders.get(key);
        if (recorder === undefined) {
          recorder = startRequest({ model: modelOf(event), startMs: event.atMs });
          recorders.set(key, recorder);
          const oldest = recorders.size > mostObservedRequests ? recorders.keys().next().value : undefined;
          if (oldest !== undefined) {
            recorders.get(oldest)?.end({ status: "error", errorType: "LOST" });
            recorders.delete(oldest);
          }
        }
        recorder.onEvent(event);
        if (event.type !== "finished") return;
        recorder.end();
        recorders.delete(key);
      };
    },
    watchWorkers: (source) => watchWorkers(workers, source),
    planned: createPlanShower(meter),
    onScrape(fn) {
      scrapeHooks.add(fn);
      return () => scrapeHooks.delete(fn);
    },
  };
}

function labelsOf(hierarchy: Hierarchy): Record<string, string> {
  return Object.fromEntries(
    Object.entries(hierarchy).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function atLeastOne(name: string, value: number): number {
  if (!(value >= 1))
    throw invalid("METRICS_OPTION_INVALID", `${name} is ${value}; give a number of at least 1.`);
  return value;
}

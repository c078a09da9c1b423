import { type Clock, type Engine, systemClock, type WorkerSource, wrapEngine } from "@stator/core";
import { trace, type Tracer } from "@opentelemetry/api";
import { generateAttempt } from "./attempt-span.ts";
import { createFailedAttempts } from "./failed-attempts.ts";
import { generateServed } from "./request-span.ts";
import { tracedWorkers } from "./traced-workers.ts";
import { generateOnWorker } from "./worker-span.ts";

export interface TracingOptions {
  /** Default: the global provider's tracer `stator`. Sampling and export are the provider's. */
  readonly tracer?: Tracer;
  /** Where engines' events tell their times. Default the machine's. */
  readonly clock?: Clock;
  /** A pause between two tokens from which a `stall` event is added to the request's span, ms. Default 1,000. */
  readonly stallMs?: number;
  /** Time to first token from which a request's span is marked to be kept, ms. Default 2,000. */
  readonly keepTtftMs?: number;
}

/** Spans for a graph. Wrap three places, each in the process where it is: */
export interface Tracing {
  /** The whole graph, in the server's process: one SERVER span per choice, `route`, `queue` and `kv.transfer` in it. */
  traced(engine: Engine): Engine;
  /** The workers that a pool chooses from: one CLIENT span per attempt, which the worker's own spans hang under. None under a span that is not sampled. */
  tracedWorkers(source: WorkerSource): WorkerSource;
  /** The engine, in the worker's process: a SERVER span with `prefill` and `decode` in it. */
  tracedWorker(engine: Engine, worker?: { readonly id?: string; readonly role?: string }): Engine;
}

/** What the spans of one process share. */
export interface TraceScope {
  readonly tracer: Tracer;
  readonly clock: Clock;
  readonly stallMs: number;
  readonly keepTtftMs: number;
  readonly failed: ReturnType<typeof createFailedAttempts>;
}

/**
 * Tracing of a graph through the OpenTelemetry API: without a provider it costs a few no-op calls per request. Trace
 * context travels in `GenerateRequest.traceparent`, so over HTTP, sessions and queues alike.
 *
 * @example
 * const { traced, tracedWorkers } = createTracing();
 * const pool = createPool({ workers: tracedWorkers(runtime.workers({ model: "tiny" })) });
 * const server = createOpenAIServer({ models: { tiny: traced(migrating(pool)) } });
 */
export function createTracing(options: TracingOptions = {}): Tracing {
  const scope: TraceScope = {
    tracer: options.tracer ?? trace.getTracer("stator"),
    clock: options.clock ?? systemClock,
    stallMs: options.stallMs ?? 1_000,
    keepTtftMs: options.keepTtftMs ?? 2_000,
    failed: createFailedAttempts(),
  };
  return {
    traced: (engine) =>
      wrapEngine(engine, { generate: (request, o) => generateServed(scope, engine, request, o) }),
    tracedWorkers: (source) =>
      tracedWorkers(source, (handle) =>
        wrapEngine(handle.engine, { generate: (request, o) => generateAttempt(scope, handle, request, o) }),
      ),
    tracedWorker: (engine, worker = {}) =>
      wrapEngine(engine, { generate: (request, o) => generateOnWorker(scope, engine, worker, request, o) }),
  };
}

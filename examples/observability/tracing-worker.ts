// A worker process that traces. `tsx tracing-worker.ts ROLE ID FOLDER`; spans leave as lines of JSON on stdout.
import {
  type ReadableSpan,
  BasicTracerProvider,
  SimpleSpanProcessor,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createTracing } from "@stator/metrics/otel";
import { closeOnSignal, createRuntime, fileDiscovery } from "@stator/runtime";

const role = process.argv[2] === "prefill" ? "prefill" : "decode";
const id = process.argv[3] ?? role;
const dir = process.argv[4];

/** In production this is an OTLP exporter; here the parent reads the lines. */
const exporter: SpanExporter = {
  export(spans: ReadableSpan[], done) {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext();
      console.log(
        JSON.stringify({
          name: span.name,
          traceId,
          spanId,
          parentId: span.parentSpanContext?.spanId,
          pid: process.pid,
          worker: id,
        }),
      );
    }
    done({ code: 0 });
  },
  shutdown: () => Promise.resolve(),
};
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracing = createTracing({ tracer: provider.getTracer("worker") });

const runtime = await createRuntime({ discovery: fileDiscovery(dir === undefined ? {} : { dir }) });
const engine = createSimulatedEngine({ model: "tiny", worker: id, stepTime: linearStepTime({ baseMs: 10 }) });
await runtime.serveEngine(tracing.tracedWorker(engine, { id, role }), { role, id });
process.on("message", (message) => {
  if (message === "crash") engine.crash();
});
process.send?.("ready");
await closeOnSignal(runtime);

// A worker process that traces. `tsx tracing-worker.ts ROLE ID FOLDER [NATS]`; spans leave as lines of JSON on stdout.
// With the address of a NATS server it takes its work from the queue "prefill" there too.
import {
  type ReadableSpan,
  BasicTracerProvider,
  SimpleSpanProcessor,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createTransferEnds } from "@stator/kv-transfer";
import { createTracing } from "@stator/metrics/otel";
import { closeOnSignal, createRuntime, fileDiscovery, serveQueue } from "@stator/runtime";
import { natsQueue } from "@stator/runtime/nats";

const role = process.argv[2] === "prefill" ? "prefill" : "decode";
const id = process.argv[3] ?? role;
const dir = process.argv[4];
const servers = process.argv[5];

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

const runtime = await createRuntime({
  discovery: fileDiscovery(dir === undefined ? {} : { dir }),
  ...(servers === undefined ? {} : { queue: natsQueue({ servers }) }),
});
const transfer = await createTransferEnds();
const engine = createSimulatedEngine({
  model: "tiny",
  worker: id,
  transfer,
  stepTime: linearStepTime({ baseMs: 10 }),
});
const traced = tracing.tracedWorker(engine, { id, role });
await runtime.serveEngine(traced, { role, id });
if (servers !== undefined) await serveQueue(runtime, traced, { subject: "prefill" });
process.on("message", (message) => {
  if (message === "crash") engine.crash();
});
process.send?.("ready");
await closeOnSignal(runtime, engine, transfer);
await transfer.close();

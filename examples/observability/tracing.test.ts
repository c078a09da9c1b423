// One trace id over four processes: a server, a prefill worker, and two decode workers because the first one breaks.
import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { RequestEvent } from "@stator/core";
import { createOpenAIServer } from "@stator/frontend";
import { createTracing } from "@stator/metrics/otel";
import { always, createPool, disaggregated, migrating } from "@stator/router";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { afterEach, expect, test } from "vitest";

interface Line {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly pid: number;
}

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test("a trace goes with its request through the server and three workers, and no span is an orphan", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stator-trace-"));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  const lines: Line[] = [];
  const children = new Map<string, ChildProcess>();
  await Promise.all(
    ["prefill-0", "decode-0", "decode-1"].map(async (id) => {
      const child = fork(
        new URL("./tracing-worker.ts", import.meta.url),
        [id.split("-")[0] as string, id, dir],
        {
          execArgv: ["--conditions=@stator/source", "--import", "tsx"],
          stdio: ["ignore", "pipe", "inherit", "ipc"],
        },
      );
      closers.push(() => child.kill("SIGKILL"));
      children.set(id, child);
      if (child.stdout !== null)
        createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line) as Line));
      await new Promise((resolve, reject) => child.once("message", resolve).once("exit", reject));
    }),
  );

  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = createTracing({ tracer: provider.getTracer("server") });
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir }) });
  closers.push(() => runtime.close());
  const workers = (role: "prefill" | "decode") =>
    tracing.tracedWorkers(runtime.workers({ model: "tiny", role }));
  const decodeWorkers = workers("decode");
  const prefillWorkers = workers("prefill");
  const prefill = createPool({ workers: prefillWorkers });
  const decode = createPool({ workers: decodeWorkers });
  closers.push(() => Promise.all([prefill.close(), decode.close()]));
  let decoding: string | undefined;
  let tokens = 0;
  const observer = (event: RequestEvent): void => {
    // The decode worker that has the request breaks after some tokens of it.
    if (event.type === "routed" && event.phase !== "prefill") decoding = event.worker;
    if (event.type !== "tokens") return;
    tokens += event.count;
    if (tokens === 10) children.get(decoding ?? "")?.send("crash");
  };
  const tiny = tracing.traced(migrating(disaggregated({ prefill, decode, when: always })));
  const server = createOpenAIServer({ models: { tiny }, observers: [observer] });
  closers.push(() => server.close());
  const { url } = await server.listen({ port: 0 });
  await expect
    .poll(() => decodeWorkers.current().length + prefillWorkers.current().length, { timeout: 15_000 })
    .toBe(3);
  await expect.poll(async () => (await fetch(`${url}/health`)).status, { timeout: 30_000 }).toBe(200);

  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    body: JSON.stringify({
      model: "tiny",
      prompt: "Once upon a time there was a turbine.",
      max_tokens: 60,
      ignore_eos: true,
    }),
  });
  expect(response.status).toBe(200);
  const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
  expect(usage.completion_tokens).toBe(60);

  const spans = (): readonly Line[] => [
    ...exporter.getFinishedSpans().map((span) => ({
      name: span.name,
      traceId: span.spanContext().traceId,
      spanId: span.spanContext().spanId,
      pid: process.pid,
      ...(span.parentSpanContext === undefined ? {} : { parentId: span.parentSpanContext.spanId }),
    })),
    ...lines,
  ];
  const orphans = (): readonly Line[] => {
    const ids = new Set(["00f067aa0ba902b7", ...spans().map((span) => span.spanId)]);
    return spans().filter(({ parentId }) => !ids.has(parentId ?? ""));
  };
  // Spans of other processes arrive when they arrive.
  await expect.poll(() => new Set(spans().map((span) => span.pid)).size, { timeout: 30_000 }).toBe(4);
  await expect.poll(orphans, { timeout: 30_000 }).toEqual([]);
  expect(new Set(spans().map((span) => span.traceId))).toEqual(new Set([traceId]));
  const retried = exporter
    .getFinishedSpans()
    .filter((span) => span.name === "rpc Generate" && span.links.length > 0);
  expect(retried.length).toBeGreaterThan(0);
}, 60_000);

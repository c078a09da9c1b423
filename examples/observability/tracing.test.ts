// One trace id over four processes: a server, a prefill worker, and two decode workers because the first one breaks;
// and over a queue in NATS.
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
import { createRuntime, fileDiscovery, queued } from "@stator/runtime";
import { natsQueue } from "@stator/runtime/nats";
import { hasServer, startServer } from "@stator/runtime/testing";
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

async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "stator-trace-"));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A worker process; what it prints are its spans. */
async function startWorker(id: string, dir: string, lines: Line[], servers?: string): Promise<ChildProcess> {
  const args = [id.split("-")[0] as string, id, dir, ...(servers === undefined ? [] : [servers])];
  const child = fork(new URL("./tracing-worker.ts", import.meta.url), args, {
    execArgv: ["--conditions=@stator/source", "--import", "tsx"],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  closers.push(() => child.kill("SIGKILL"));
  if (child.stdout !== null)
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line) as Line));
  await new Promise((resolve, reject) => child.once("message", resolve).once("exit", reject));
  return child;
}

function spansOf(exporter: InMemorySpanExporter): readonly Line[] {
  return exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    pid: process.pid,
    ...(span.parentSpanContext === undefined ? {} : { parentId: span.parentSpanContext.spanId }),
  }));
}

/** Spans under no span that is known, and not under the client's. */
function orphansOf(spans: readonly Line[]): readonly Line[] {
  const ids = new Set([clientSpan, ...spans.map((span) => span.spanId)]);
  return spans.filter(({ parentId }) => !ids.has(parentId ?? ""));
}

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const clientSpan = "00f067aa0ba902b7";

function complete(url: string, outputTokens: number): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", traceparent: `00-${traceId}-${clientSpan}-01` },
    body: JSON.stringify({
      model: "tiny",
      prompt: "Once upon a time there was a turbine.",
      max_tokens: outputTokens,
      ignore_eos: true,
    }),
  });
}

test("a trace goes with its request through the server and three workers, and no span is an orphan", async () => {
  const dir = await temporaryFolder();
  const lines: Line[] = [];
  const children = new Map<string, ChildProcess>();
  for (const id of ["prefill-0", "decode-0", "decode-1"]) children.set(id, await startWorker(id, dir, lines));

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

  const response = await complete(url, 60);
  expect(response.status).toBe(200);
  const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
  expect(usage.completion_tokens).toBe(60);

  const spans = (): readonly Line[] => [...spansOf(exporter), ...lines];
  // Spans of other processes arrive when they arrive.
  await expect.poll(() => new Set(spans().map((span) => span.pid)).size, { timeout: 30_000 }).toBe(4);
  await expect.poll(() => orphansOf(spans()), { timeout: 30_000 }).toEqual([]);
  expect(new Set(spans().map((span) => span.traceId))).toEqual(new Set([traceId]));
  const retried = exporter
    .getFinishedSpans()
    .filter((span) => span.name === "rpc Generate" && span.links.length > 0);
  expect(retried.length).toBeGreaterThan(0);
}, 60_000);

test.runIf(hasServer("nats"))(
  "a trace goes with its request through a queue in NATS",
  async () => {
    const { url: servers, ...nats } = await startServer("nats");
    closers.push(() => nats[Symbol.asyncDispose]());
    const dir = await temporaryFolder();
    const lines: Line[] = [];
    await startWorker("prefill-0", dir, lines, servers);
    await startWorker("decode-0", dir, lines);

    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    const tracing = createTracing({ tracer: provider.getTracer("server") });
    const runtime = await createRuntime({ discovery: fileDiscovery({ dir }), queue: natsQueue({ servers }) });
    closers.push(() => runtime.close());
    const decodeWorkers = tracing.tracedWorkers(runtime.workers({ model: "tiny", role: "decode" }));
    const decode = createPool({ workers: decodeWorkers });
    closers.push(() => decode.close());
    const prefill = createPool({ workers: [queued(runtime, { subject: "prefill" })] });
    closers.push(() => prefill.close());
    const tiny = tracing.traced(migrating(disaggregated({ prefill, decode, when: always })));
    const server = createOpenAIServer({ models: { tiny } });
    closers.push(() => server.close());
    const { url } = await server.listen({ port: 0 });
    await expect
      .poll(() => prefill.card !== undefined && decode.card !== undefined, { timeout: 15_000 })
      .toBe(true);
    await expect.poll(async () => (await fetch(`${url}/health`)).status, { timeout: 30_000 }).toBe(200);

    expect((await complete(url, 8)).status).toBe(200);
    const spans = (): readonly Line[] => [...spansOf(exporter), ...lines];
    await expect.poll(() => new Set(spans().map((span) => span.pid)).size, { timeout: 30_000 }).toBe(3);
    await expect.poll(() => orphansOf(spans()), { timeout: 30_000 }).toEqual([]);
    expect(new Set(spans().map((span) => span.traceId))).toEqual(new Set([traceId]));
    // The KV that the queue's taker made was used: one call of a decode worker, which prefilled nothing again.
    expect(spans().filter((span) => span.name === "rpc Generate")).toHaveLength(1);
  },
  60_000,
);

// Every panel of the dashboard is asked of a real Prometheus that scrapes a graph under load, faults included.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAIServer } from "@stator/frontend";
import { createAgent, describe as blocks, loopback } from "@stator/kv-transfer";
import { servingDashboardRows } from "@stator/metrics/dashboards";
import { dcgmExporter } from "@stator/metrics/gpu";
import { createPool } from "@stator/router";
import { createRuntime } from "@stator/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ObservedGraph, observedGraph } from "./graph.ts";
import { sendLoad } from "./load.ts";
import { isInstalled, type Prometheus, startPrometheus, writeMonitoring } from "./prometheus.ts";

const hasPrometheus = isInstalled("prometheus");
if (!hasPrometheus && process.env["STATOR_REQUIRE"]?.split(",").includes("servers"))
  throw new Error("STATOR_REQUIRE names servers, but prometheus is missing.");
if (!hasPrometheus) console.log("skipped: no prometheus");

/** Two H100 in dcgm-exporter's format; their energy grows from scrape to scrape. */
const scrape = readFileSync(
  new URL("../../packages/metrics/src/gpu/fixtures/dcgm-exporter.txt", import.meta.url),
  "utf8",
);

describe.skipIf(!hasPrometheus)("the serving dashboard", () => {
  const closers: (() => unknown)[] = [];
  let graph: ObservedGraph;
  let prometheus: Prometheus;

  beforeAll(async () => {
    let millijoules = 48_211_973_344;
    const exporter = await listening(
      createServer((_, response) =>
        response.end(scrape.replaceAll("48211973344", String((millijoules += 480_000)))),
      ),
    );
    closers.push(() => exporter.server.close());
    graph = await observedGraph({ gpuSources: [dcgmExporter({ url: exporter.url })], decode: 3 });
    closers.push(() => graph[Symbol.asyncDispose]());
    const { url } = await graph.server.listen({ port: 0 });

    const folder = await mkdtemp(join(tmpdir(), "stator-prometheus-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const port = await freePort();
    const { config } = await writeMonitoring(folder, [new URL(url).host], `http://127.0.0.1:${port}`, 1);
    prometheus = await startPrometheus(config, folder, port);
    closers.push(() => prometheus[Symbol.asyncDispose]());

    const stop = new AbortController();
    const load = sendLoad({ url, clients: 6, signal: stop.signal });
    closers.push(async () => {
      stop.abort();
      await load;
    });
    const transfers = sendTransfers(graph, stop.signal);
    closers.push(async () => {
      stop.abort();
      await transfers;
    });
    await refusal(graph);
    graph.metrics.planned([{ pool: "decode", target: 3, current: 3 }]);
    await cancellation(url);
    // Prometheus must have seen the counters before they move: a rate needs two looks.
    await until(
      async () => (await ask(prometheus.url, "count_over_time(stator_kv_events_total[1m]) >= 2")).length > 0,
    );
    graph.workers.get("decode-1")?.kill();
    await until(async () => /migrations_total\{.*\} [1-9]/.test(await graph.metrics.expose()));
  }, 60_000);

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  }, 30_000);

  const panels = servingDashboardRows().flatMap((row) =>
    row.panels.map((panel) => ({ row: row.title, title: panel.title, panel })),
  );

  test.each(panels)("$row: $title has data", async ({ panel }) => {
    for (const { expr } of panel.queries) {
      // The window reaches back to the worker's death, however long the panels before took.
      // `or vector(0)` would fill a panel whatever its metric is called.
      const query = expr
        .replaceAll("$__rate_interval", "2m")
        .replaceAll("$model", ".*")
        .replaceAll(" or vector(0)", "");
      const figures = await until(async () => {
        const found = await ask(prometheus.url, query);
        return found.length > 0 && found.some((value) => !Number.isNaN(value)) ? found : undefined;
      }, query);
      expect(figures.length).toBeGreaterThan(0);
    }
  });

  test("its rules are loaded and evaluate without an error", async () => {
    const response = await fetch(`${prometheus.url}/api/v1/rules`);
    const { data } = (await response.json()) as {
      data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
    };
    const rules = data.groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(25);
    expect(rules.filter(({ health }) => health === "err")).toEqual([]);
  });
});

/** Bytes from one agent to another; every other time out of a block that was reused, which is refused. */
async function sendTransfers({ metrics }: ObservedGraph, signal: AbortSignal): Promise<void> {
  await using source = await createAgent({ name: "source", transports: [loopback()], meter: metrics });
  await using sink = await createAgent({ name: "sink", transports: [loopback()], meter: metrics });
  const held = await source.allocate({ bytes: 65_536, blockBytes: 4_096 });
  const local = sink.register(new Uint8Array(4_096));
  const peer = sink.importMetadata(source.exportMetadata({ regions: [held] }));
  for (let i = 0; !signal.aborted; i++) {
    const transfer = sink.transfer({
      operation: "read",
      peer,
      local: blocks(local, [{ offset: 0, bytes: 4_096 }]),
      remote: blocks(peer.region(held.id), [{ offset: 0, bytes: 4_096 }]),
      epochs: [{ region: held.id, blocks: Uint32Array.of(0), expected: BigUint64Array.of(BigInt(i % 2)) }],
    });
    if (i % 2 === 0) await transfer;
    else await expect(transfer).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A model without workers: its requests are refused. */
async function refusal(graph: ObservedGraph): Promise<void> {
  const runtime = await createRuntime();
  const absent = createPool({ workers: runtime.workers({ model: "absent" }) });
  const server = createOpenAIServer({ models: { absent }, metrics: graph.metrics });
  const { url } = await server.listen({ port: 0 });
  for (let i = 0; i < 3; i++) {
    const response = await fetch(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "absent", prompt: "hi" }),
    });
    expect(response.status).toBe(503);
  }
  await server.close();
  await absent.close();
  await runtime.close();
}

/** A client that leaves in the middle of its stream. */
async function cancellation(url: string): Promise<void> {
  const abort = new AbortController();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", prompt: "Once", stream: true, max_tokens: 400 }),
    signal: abort.signal,
  });
  await response.body?.getReader().read();
  abort.abort();
}

async function ask(url: string, query: string): Promise<number[]> {
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
  const body = (await response.json()) as {
    status: string;
    error?: string;
    data?: { result: { value: [number, string] }[] };
  };
  if (body.status !== "success") throw new Error(`${query}: ${body.error}`);
  return (body.data?.result ?? []).map(({ value }) => Number(value[1]));
}

async function until<Value>(look: () => Promise<Value | undefined | false>, what = "it"): Promise<Value> {
  const deadline = performance.now() + 18_000;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`No data: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function listening(server: Server): Promise<{ server: Server; url: string }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics` };
}

async function freePort(): Promise<number> {
  const { server, url } = await listening(createServer());
  await new Promise((resolve) => server.close(resolve));
  return Number(new URL(url).port);
}

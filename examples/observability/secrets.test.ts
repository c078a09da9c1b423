// A planted prompt and key must be found in none of the outputs: metrics, feed, spans, logs, errors.
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { createConsole } from "@stator/console";
import type { Logger } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { createTracing } from "@stator/metrics/otel";
import { createPool, migrating } from "@stator/router";
import { createRuntime } from "@stator/runtime";
import { build } from "vite";
import { expect, test } from "vitest";

const prompt = "canary-prompt-7f3a91c2";
const key = "sk-canary-key-55d0e8b4";
const inHeader = "canary-header-90ab12cd";

test("a planted prompt, key and header are in no output", async () => {
  await build({
    configFile: new URL("../../packages/console/web/vite.config.ts", import.meta.url).pathname,
    logLevel: "error",
  });
  const told: string[] = [];
  const note = (message: string, fields?: unknown): void =>
    void told.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const logger: Logger = { debug: note, info: note, warn: note, error: note };
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = createTracing({ tracer: provider.getTracer("test") });
  const metrics = createMetrics();
  const runtime = await createRuntime({ metrics, logger });
  const served = [];
  for (const id of ["a", "b"]) {
    served.push(
      await runtime.serveEngine(
        tracing.tracedWorker(createSimulatedEngine({ model: "tiny", worker: id }), { id }),
        { role: "both", id },
      ),
    );
  }
  const workers = tracing.tracedWorkers(runtime.workers());
  const page = createConsole({ workers, intervalMs: 50 });
  metrics.watchWorkers(workers);
  const pool = createPool({ workers });
  const server = createOpenAIServer({
    models: { tiny: tracing.traced(migrating(pool)) },
    metrics,
    logger,
    observers: [page.observer],
    routes: page.routes,
  });
  const { url } = await server.listen({ port: 0 });

  const outputs: string[] = [];
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${key}`,
    "x-custom": inHeader,
  };
  const ask = (body: unknown, path = "/v1/chat/completions"): Promise<Response> =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers,
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const abort = new AbortController();
  const feed = await fetch(`${url}/console/feed`, { signal: abort.signal });
  const messages = [
    { role: "system", content: key },
    { role: "user", content: prompt },
  ];

  const good = await ask({ model: "tiny", messages, max_tokens: 8 });
  expect(good.status).toBe(200);
  await good.text();
  const dying = ask({ model: "tiny", messages, max_tokens: 2_000, stream: true }).then((response) =>
    response.text(),
  );
  await expect.poll(async () => (await metrics.expose()).includes('stage="decode"} 1')).toBe(true);
  for (const one of served) one.kill();
  // What a client gets back may hold the model's words, but the error at the end of the stream must not quote the prompt.
  outputs.push(
    (await dying)
      .split("\n")
      .filter((line) => line.includes('"error"'))
      .join("\n"),
  );
  for (const bad of [
    { model: "tiny", messages, temperature: 9 },
    { model: "tiny", messages: prompt },
    `{"model":"tiny","messages":[{"role":"user","content":"${prompt}"`,
  ]) {
    const response = await ask(bad);
    expect(response.status).toBe(400);
    outputs.push(await response.text(), JSON.stringify([...response.headers]));
  }

  outputs.push(await metrics.expose(), told.join("\n"));
  outputs.push(
    JSON.stringify(
      exporter
        .getFinishedSpans()
        .map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
    ),
  );
  const reader = feed.body?.pipeThrough(new TextDecoderStream()).getReader();
  let fed = "";
  while (!fed.includes('"end":"error"')) fed += (await reader?.read())?.value ?? "";
  outputs.push(fed);
  abort.abort();
  page.close();
  await server.close();
  await pool.close();
  await runtime.close();

  expect(exporter.getFinishedSpans().length).toBeGreaterThan(5);
  for (const output of outputs)
    for (const planted of [prompt, key, inHeader]) expect(output).not.toContain(planted);
}, 40_000);

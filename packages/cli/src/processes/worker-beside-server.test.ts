import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { collectIds, createRequest, silentLogger, type Handoff, type RequestEvent } from "@stator/core";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import {
  createMeetingRooms,
  startKvPublisher,
  startSglangFake,
  startVllmFake,
} from "@stator/engines/testing";
import { createOpenAIServer } from "@stator/frontend";
import { always, createPool, disaggregated, migrating } from "@stator/router";
import { createRuntime, fileDiscovery, type Runtime } from "@stator/runtime";
import OpenAI from "openai";
import { afterEach, beforeEach, expect, test } from "vitest";
import { engineBesideServer } from "./engine-beside-server.ts";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const closing: (() => unknown)[] = [];
let namespace: string;
let runtime: Runtime;
let tokenizer: string;

beforeEach(async () => {
  namespace = `t-${randomUUID().slice(0, 8)}`;
  runtime = await createRuntime({ discovery: fileDiscovery(), namespace });
  const folder = await mkdtemp(path.join(tmpdir(), "stator-tokenizer-"));
  tokenizer = path.join(folder, "tokenizer.json");
  const engine = createSimulatedEngine();
  const options = { signal: new AbortController().signal };
  await writeFile(tokenizer, await engine.artifact(engine.card!.tokenizer.digest, options));
  await writeFile(
    path.join(folder, "tokenizer_config.json"),
    JSON.stringify({ chat_template: engine.card!.chatTemplate, eos_token: "<|im_end|>" }),
  );
  closing.push(() => rm(folder, { recursive: true }));
});
afterEach(async () => {
  await runtime.close();
  for (const close of closing.splice(0).reverse()) await close();
});

const inner = () =>
  createSimulatedEngine({ model: "sim", stepTime: linearStepTime({ baseMs: 2, perPrefillTokenMs: 0.02 }) });

/** A `stator worker` process; resolves once it says that it is ready. */
async function worker(...args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [main, "worker", "--model", "sim", "--namespace", namespace, "--tokenizer", tokenizer, ...args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  closing.push(() => {
    child.kill("SIGKILL");
    return exited;
  });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += String(chunk);
      if (output.includes("is ready")) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    void exited.then(() => reject(new Error(`the worker ended: ${output}`)));
  });
  return child;
}

const request = (seed: number) =>
  createRequest({
    id: `r${seed}`,
    model: "sim",
    promptIds: Uint32Array.from({ length: 200 }, (_, i) => 32 + ((i * 11 + seed * 17) % 90)),
    limits: { maxTokens: 60, ignoreEos: true },
  });
const undisturbed = (seed: number): Promise<number[]> => collectIds(createSimulatedEngine(), request(seed));

test("worker processes beside two vLLM servers: text through a frontend, KV events to the router, a death survived", async () => {
  const publisher = await startKvPublisher();
  const fakes = [
    await startVllmFake({ engine: inner(), model: "org/Sim", publisher }),
    await startVllmFake({ engine: inner(), model: "org/Sim" }),
  ];
  closing.push(() => publisher.close(), ...fakes.map((fake) => () => fake.close()));
  const address = `${publisher.endpoint}?replay=${publisher.replay}`;
  await Promise.all([
    worker("--engine", "vllm", "--id", "a", "--url", fakes[0]!.url, "--kv-events", address),
    worker("--engine", "vllm", "--id", "b", "--url", fakes[1]!.url),
  ]);
  const pool = createPool({ workers: runtime.workers({ model: "sim", role: "both" }) });
  const graph = migrating(pool);
  await expect.poll(() => runtime.workers().current().length, { timeout: 30_000 }).toBe(2);

  const server = createOpenAIServer({ models: { sim: graph } });
  const { url } = await server.listen({ port: 0 });
  closing.push(() => server.close());
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const answer = await client.chat.completions.create({
    model: "sim",
    messages: [{ role: "user", content: "What turns?" }],
    max_tokens: 20,
    temperature: 0,
  });
  expect(answer.choices[0]?.message.content?.length).toBeGreaterThan(5);
  expect(answer.usage?.completion_tokens).toBe(20);

  const runs = [1, 2, 3, 4].map((seed) => collectIds(graph, request(seed)));
  // Both servers work by now; one of them dies, and comes back to no use of ours.
  await expect.poll(() => fakes[0]!.running > 0 && fakes[1]!.running > 0, { interval: 2 }).toBe(true);
  fakes[1]!.refuse(true);
  expect(await Promise.all(runs)).toEqual(await Promise.all([1, 2, 3, 4].map(undisturbed)));

  await expect
    .poll(
      async () => {
        await collectIds(graph, request(5));
        return graph.estimate?.(request(5))?.cachedTokens ?? 0;
      },
      { timeout: 10_000 },
    )
    .toBeGreaterThanOrEqual(192);
}, 60_000);

test("streams of a vLLM worker that is killed go on at another vLLM worker, and its server is free; a sampled one says why it cannot", async () => {
  const fakes = [
    await startVllmFake({ engine: inner(), model: "org/Sim" }),
    await startVllmFake({ engine: inner(), model: "org/Sim" }),
  ];
  closing.push(...fakes.map((fake) => () => fake.close()));
  const workers = await Promise.all(
    fakes.map(({ url }, i) => worker("--engine", "vllm", "--id", `k${i}`, "--url", url)),
  );
  const graph = migrating(createPool({ workers: runtime.workers({ model: "sim", role: "both" }) }));
  await expect.poll(() => runtime.workers().current().length, { timeout: 30_000 }).toBe(2);

  const long = (seed: number) => ({ ...request(seed), limits: { maxTokens: 400, ignoreEos: true } });
  const sampled = { ...long(5), sampling: { ...request(5).sampling, temperature: 0.8 } };
  let place = "";
  let told = 0;
  const onEvent = (event: RequestEvent): void => {
    if (event.type === "routed") place = event.worker;
  };
  const honest = (async () => {
    const { signal } = new AbortController();
    for await (const { ids } of graph.generate(sampled, { signal, onEvent })) told += ids.length;
  })();
  const refused = expect(honest).rejects.toMatchObject({ code: "ROUTER_RESUME_UNSUPPORTED" });
  const seeds = [1, 2, 3, 4];
  const runs = seeds.map((seed) => collectIds(graph, long(seed)));
  const runningAt = (): number[] => fakes.map(({ running }) => running);
  await expect.poll(() => told > 0 && Math.min(...runningAt()) > 0, { interval: 2 }).toBe(true);
  const dead = place === "k0" ? 0 : 1;
  workers[dead]!.kill("SIGKILL");
  const alone = seeds.map((seed) => collectIds(createSimulatedEngine(), long(seed)));
  expect(await Promise.all(runs)).toEqual(await Promise.all(alone));
  await refused;
  // The killed process's connections are closed: its server has nothing left to do.
  await expect.poll(() => fakes[dead]!.running).toBe(0);
}, 60_000);

test("worker processes beside an SGLang pair and a vLLM pair disaggregate", async () => {
  const rooms = createMeetingRooms();
  const sideChannel = new Map<string, Handoff>();
  const started = [
    await startSglangFake({ engine: inner(), mode: "prefill", rooms }),
    await startSglangFake({ engine: inner(), mode: "decode", rooms }),
    await startVllmFake({ engine: inner(), sideChannel }),
    await startVllmFake({ engine: inner(), sideChannel }),
  ];
  closing.push(...started.map((fake) => () => fake.close()));
  const [sp, sd, vp, vd] = started.map(({ url }) => url) as [string, string, string, string];
  await Promise.all([
    worker(
      "--engine",
      "sglang",
      "--connector",
      "bootstrap",
      "--role",
      "prefill",
      "--url",
      sp,
      "--label",
      "kind=s",
    ),
    worker(
      "--engine",
      "sglang",
      "--connector",
      "bootstrap",
      "--role",
      "decode",
      "--url",
      sd,
      "--label",
      "kind=s",
    ),
    worker("--engine", "vllm", "--connector", "nixl", "--role", "prefill", "--url", vp, "--label", "kind=v"),
    worker("--engine", "vllm", "--connector", "nixl", "--role", "decode", "--url", vd, "--label", "kind=v"),
  ]);
  const joined = disaggregated({
    prefill: createPool({ workers: runtime.workers({ model: "sim", role: "prefill" }) }),
    decode: createPool({ workers: runtime.workers({ model: "sim", role: "decode" }) }),
    when: always,
  });
  await expect.poll(() => runtime.workers().current().length, { timeout: 30_000 }).toBe(4);
  for (const [seed, kind] of [
    [1, "s"],
    [2, "v"],
    [3, "s"],
  ] as const) {
    const pinned = { ...request(seed), hints: { requireLabels: { kind } } };
    expect(await collectIds(migrating(joined), pinned)).toEqual(await undisturbed(seed));
  }
  expect(joined.counts).toMatchObject({ handedOver: 3, fallbacks: 0 });
}, 60_000);

const script = `
import { createServer } from "node:http";
setTimeout(() => createServer((request, response) => {
  if (request.url === "/v1/models") return response.end(JSON.stringify({ data: [{ id: process.env.MODEL, max_model_len: 64 }] }));
  response.statusCode = 404; response.end();
}).listen(Number(process.argv[1])), 300);`;

test("a command in a layout starts the server, waits until it answers, and ends it with the engine", async () => {
  const gone: string[] = [];
  const engine = await engineBesideServer(
    {
      kind: "vllm",
      command: [process.execPath, "--input-type=module", "-e", script, "{port}"],
      environment: { MODEL: "m" },
    },
    { model: "named", logger: silentLogger, onGone: (reason) => gone.push(reason) },
  );
  expect(engine.card).toMatchObject({ model: "named", contextTokens: 64 });
  await engine.close();
  expect(gone).toEqual([]);
}, 20_000);

test("a command that ends early is told with its last words", async () => {
  const failing = engineBesideServer(
    { kind: "vllm", command: [process.execPath, "-e", "console.error('no such model'); process.exit(3)"] },
    { model: "m", logger: silentLogger, onGone: () => {} },
  );
  await expect(failing).rejects.toMatchObject({
    message: expect.stringContaining("no such model") as string,
  });
}, 20_000);

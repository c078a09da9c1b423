import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeAll, afterAll, expect, test } from "vitest";
import { collectIds, createRequest, createVirtualClock, type Engine, type TokenBatch } from "@stator/core";
import { createSimulatedEngine } from "../simulated/index.ts";
import type { EngineFake } from "../testing/fakes/http-fake.ts";
import {
  startLlamaServerFake,
  type LlamaServerFakeOptions,
  type SavedState,
} from "../testing/fakes/llama-server-fake.ts";
import { llamaServer } from "./llama-server.ts";

const opened: EngineFake[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fake) => fake.close()));
});
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "stator-slots-"));
});
afterAll(() => rm(folder, { recursive: true }));
async function start(options: Partial<LlamaServerFakeOptions> = {}): Promise<EngineFake> {
  const fake = await startLlamaServerFake({
    engine: createSimulatedEngine({ contextTokens: 2048 }),
    ...options,
  });
  opened.push(fake);
  return fake;
}
// Long enough for a few characters of four bytes.
const request = createRequest({
  id: "r",
  model: "simulated",
  promptIds: Uint32Array.from({ length: 100 }, (_, i) => 32 + ((i * 7) % 90)),
  limits: { maxTokens: 600, ignoreEos: true },
});
const signal = new AbortController().signal;
const expected = (): Promise<number[]> => collectIds(createSimulatedEngine({ contextTokens: 2048 }), request);
async function batches(engine: Engine, r = request): Promise<TokenBatch[]> {
  const all: TokenBatch[] = [];
  for await (const batch of engine.generate(r, { signal })) all.push(batch);
  return all;
}

test("ids that the stream leaves out inside of characters come back from the text", async () => {
  const ids = await expected();
  expect(ids.some((id) => id === 0xf0)).toBe(true);
  const fake = await start();
  const got = await batches(llamaServer({ url: fake.url }));
  expect(got.flatMap((batch) => [...batch.ids])).toEqual(ids);
  expect(fake.calls.some(({ path: asked }) => asked === "/tokenize")).toBe(true);
});

test("ids that the text does not give back are generated again, without a stream", async () => {
  const fake = await start({ tokenizesOtherwise: true });
  const got = await batches(llamaServer({ url: fake.url }));
  expect(got.flatMap((batch) => [...batch.ids])).toEqual(await expected());
  expect(fake.calls.at(-1)?.body).toMatchObject({ stream: false });
});

test("log probabilities come for every id", async () => {
  const fake = await start();
  const short = { ...request, limits: { maxTokens: 200, ignoreEos: true }, topLogprobs: 2 };
  const got = await batches(llamaServer({ url: fake.url }), short);
  const whole = await batches(createSimulatedEngine({ contextTokens: 2048 }), short);
  expect(got.flatMap(({ logprobs }) => logprobs ?? [])).toEqual(
    whole.flatMap(({ logprobs }) => logprobs ?? []),
  );
});

test("stop ids end the stream here, and free the server", async () => {
  const fake = await start({ engine: createSimulatedEngine({ contextTokens: 2048, stepTime: () => 1 }) });
  const ids = await expected();
  const stopId = ids[5]!;
  const got = await batches(llamaServer({ url: fake.url }), {
    ...request,
    limits: { ...request.limits, stopIds: [stopId] },
  });
  expect(got.flatMap((batch) => [...batch.ids])).toEqual(ids.slice(0, ids.indexOf(stopId) + 1));
  expect(got.at(-1)?.finish).toEqual({ reason: "stop", stopId });
  await expect.poll(() => fake.running).toBe(0);
});

test.each(["cut", "vanish"] as const)(
  "a stream that ends by %s is a failure, because there is no [DONE]",
  async (how) => {
    const fake = await start({ fault: { afterTokens: 5, how } });
    await expect(batches(llamaServer({ url: fake.url }))).rejects.toMatchObject({ kind: "unavailable" });
  },
);

test("what the server has not is refused before it is asked", async () => {
  const fake = await start();
  const engine = llamaServer({ url: fake.url });
  const refused = { kind: "invalid", code: "ENGINES_UNSUPPORTED" };
  await expect(batches(engine, { ...request, limits: { maxTokens: 9, minTokens: 5 } })).rejects.toMatchObject(
    refused,
  );
  await expect(
    batches(engine, { ...request, grammar: { kind: "regex", source: "a+" } }),
  ).rejects.toMatchObject(refused);
});

test("a prompt beyond the context is the client's fault, in the server's words", async () => {
  const fake = await start();
  const long = { ...request, promptIds: new Uint32Array(5_000).fill(40) };
  await expect(batches(llamaServer({ url: fake.url }), long)).rejects.toMatchObject({
    kind: "invalid",
    code: "ENGINES_SERVER_REFUSED",
    message: expect.stringContaining("exceeds the available context size") as string,
  });
});

test("requests that the server defers wait there, count as waiting, and are served in the end", async () => {
  const inner = createSimulatedEngine({ contextTokens: 2048, maxRunning: 1, stepTime: () => 2 });
  const fake = await start({ engine: inner, slots: 1 });
  const engine = llamaServer({ url: fake.url, pollMs: 5 });
  let mostWaiting = 0;
  engine.onStatus?.(({ load }) => (mostWaiting = Math.max(mostWaiting, load.waiting)));
  const limits = { maxTokens: 100, ignoreEos: true };
  const runs = [1, 2, 3].map((n) => collectIds(engine, { ...request, id: `r${n}`, limits }));
  await expect.poll(() => mostWaiting).toBeGreaterThan(0);
  const alone = await collectIds(createSimulatedEngine({ contextTokens: 2048 }), { ...request, limits });
  expect(await Promise.all(runs)).toEqual([alone, alone, alone]);
  await engine.close();
});

test("slots go over as files, which go with their handoff or their lease", async () => {
  const states = new Map<string, SavedState>();
  const clock = createVirtualClock();
  const connector = { name: "slot-files", folder } as const;
  const p = await start({ states, slotFolder: folder });
  const d = await start({ states, slotFolder: folder });
  const prefill = llamaServer({ url: p.url, connector, clock });
  const decode = llamaServer({ url: d.url, connector });
  const [first] = await batches(prefill, { ...request, mode: "prefill" });
  const handoff = first!.handoff!;
  expect(handoff).toMatchObject({ heldTokens: 100, firstEmittedBy: "nobody", lease: { durationMs: 30_000 } });
  expect(await readdir(folder)).toEqual([new TextDecoder().decode(handoff.opaque)]);
  expect(await collectIds(decode, { ...request, handoff })).toEqual(await expected());
  prefill.releaseHandoff?.(handoff, "abandoned");
  await expect.poll(() => readdir(folder)).toEqual([]);

  await batches(prefill, { ...request, mode: "prefill" });
  expect(await readdir(folder)).toHaveLength(1);
  await clock.pass(30_001);
  await expect.poll(() => readdir(folder)).toEqual([]);

  const gone = collectIds(decode, { ...request, handoff });
  await expect(gone).rejects.toMatchObject({ code: "ENGINES_HANDOFF_FAILED" });
  await prefill.close();
});

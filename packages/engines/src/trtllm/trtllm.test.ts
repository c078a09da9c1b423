import { afterEach, expect, test } from "vitest";
import { collectIds, createRequest, type Engine, type Handoff, type TokenBatch } from "@stator/core";
import { createSimulatedEngine } from "../simulated/index.ts";
import type { EngineFake } from "../testing/fakes/http-fake.ts";
import { startTrtllmFake, type TrtllmFakeOptions } from "../testing/fakes/trtllm-fake.ts";
import { trtllm } from "./trtllm.ts";

const opened: EngineFake[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fake) => fake.close()));
});
async function start(options: Partial<TrtllmFakeOptions> = {}): Promise<EngineFake> {
  const fake = await startTrtllmFake({ engine: createSimulatedEngine({ contextTokens: 2048 }), ...options });
  opened.push(fake);
  return fake;
}
const request = createRequest({
  id: "r",
  model: "simulated",
  promptIds: Uint32Array.from({ length: 100 }, (_, i) => 32 + ((i * 7) % 90)),
  limits: { maxTokens: 24, ignoreEos: true },
});
const signal = new AbortController().signal;
const expected = (): Promise<number[]> => collectIds(createSimulatedEngine({ contextTokens: 2048 }), request);
async function batches(engine: Engine, r = request): Promise<TokenBatch[]> {
  const all: TokenBatch[] = [];
  for await (const batch of engine.generate(r, { signal })) all.push(batch);
  return all;
}
const connector = { name: "context" } as const;

test("the generation server says prefill's first token, once, and gets its parameters back as they were", async () => {
  const transceiver = new Map<string, Handoff>();
  const [c, g] = [await start({ transceiver }), await start({ transceiver })];
  const [first] = await batches(trtllm({ url: c.url, connector }), { ...request, mode: "prefill" });
  const handoff = first!.handoff!;
  expect(first).toMatchObject({
    ids: [],
    handoff: { firstEmittedBy: "decode", firstIds: [(await expected())[0]] },
  });
  expect(c.calls.at(-1)?.body).toMatchObject({
    stream: false,
    max_tokens: 24,
    disaggregated_params: { request_type: "context_only" },
  });
  const decode = trtllm({ url: g.url, connector });
  expect(await collectIds(decode, { ...request, handoff })).toEqual(await expected());
  const { disaggregated_params: params } = g.calls.at(-1)!.body as {
    disaggregated_params: Record<string, unknown>;
  };
  expect(params).toMatchObject({ request_type: "generation_only", encoded_opaque_state: "b3BhcXVl" });
  expect(transceiver.has(String(params["ctx_request_id"]))).toBe(true);
});

test("a context answer that ended the request is its end", async () => {
  const fake = await start({ contextEnds: "stop" });
  const [first, ...more] = await batches(trtllm({ url: fake.url, connector }), {
    ...request,
    mode: "prefill",
  });
  const [id] = await expected();
  expect(more).toEqual([]);
  expect(first).toEqual({ firstIndex: 0, ids: [id], finish: { reason: "stop", stopId: id } });
});

test("KV that is gone at the generation server blames the KV", async () => {
  const [c, g] = [await start(), await start()];
  const [first] = await batches(trtllm({ url: c.url, connector }), { ...request, mode: "prefill" });
  const run = collectIds(trtllm({ url: g.url, connector }), { ...request, handoff: first!.handoff! });
  await expect(run).rejects.toMatchObject({ code: "ENGINES_HANDOFF_FAILED" });
});

test("a stop id that the server cuts off belongs to the output", async () => {
  const fake = await start();
  const ids = await expected();
  const stopId = ids[5]!;
  const got = await batches(trtllm({ url: fake.url }), {
    ...request,
    limits: { maxTokens: 24, ignoreEos: true, stopIds: [stopId] },
  });
  expect(got.flatMap((batch) => [...batch.ids])).toEqual(ids.slice(0, ids.indexOf(stopId) + 1));
});

test.each(["cut", "vanish"] as const)("a stream that ends by %s is a failure", async (how) => {
  const fake = await start({ fault: { afterTokens: 5, how } });
  await expect(batches(trtllm({ url: fake.url }))).rejects.toMatchObject({ kind: "unavailable" });
});

test("statistics that reading drains are kept until newer ones come, and silence means idle", async () => {
  const engine = createSimulatedEngine({ contextTokens: 2048, stepTime: () => 5 });
  const fake = await start({ engine });
  const adapter = trtllm({ url: fake.url, pollMs: 5 });
  const seen: number[] = [];
  let total = 0;
  adapter.onStatus?.(({ load }) => {
    seen.push(load.running);
    total = load.kvBlocksTotal;
  });
  const controller = new AbortController();
  const run = collectIds(engine, { ...request, limits: { maxTokens: 1900, ignoreEos: true } }, controller);
  await expect.poll(() => seen.at(-1)).toBe(1);
  controller.abort();
  await expect(run).rejects.toMatchObject({ kind: "cancelled" });
  await expect.poll(() => seen.at(-1)).toBe(0);
  expect(total).toBe(8192);
  await adapter.close();
});

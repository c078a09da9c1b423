import { afterEach, describe, expect, test } from "vitest";
import {
  collectIds,
  createRequest,
  nameBlocks,
  type Engine,
  type Handoff,
  type TokenBatch,
} from "@stator/core";
import { createSimulatedEngine } from "../simulated/index.ts";
import { startVllmFake, type VllmFakeOptions } from "../testing/fakes/vllm-fake.ts";
import type { EngineFake } from "../testing/fakes/http-fake.ts";
import { startKvPublisher } from "../testing/fakes/kv-publisher.ts";
import { vllm } from "./vllm.ts";

const opened: EngineFake[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fake) => fake.close()));
});
async function start(options: Partial<VllmFakeOptions> = {}): Promise<{ fake: EngineFake; inner: Engine }> {
  const inner = options.engine ?? createSimulatedEngine({ contextTokens: 2048 });
  const fake = await startVllmFake({ ...options, engine: inner });
  opened.push(fake);
  return { fake, inner };
}
const prompt = Uint32Array.from({ length: 100 }, (_, i) => (i * 7) % 250);
const request = createRequest({
  id: "r",
  model: "simulated",
  promptIds: prompt,
  limits: { maxTokens: 24, ignoreEos: true },
});
const signal = new AbortController().signal;
async function batches(engine: Engine, r = request): Promise<TokenBatch[]> {
  const all: TokenBatch[] = [];
  for await (const batch of engine.generate(r, { signal })) all.push(batch);
  return all;
}

describe.each(["0.10.0", "0.10", "0.29"] as const)("a vLLM %s server", (era) => {
  test("gives the ids of the engine inside, its card, and its finish", async () => {
    const { fake, inner } = await start({ era });
    const engine = vllm({ url: fake.url });
    expect(await engine.ready()).toMatchObject({
      contextTokens: 2048,
      blockTokens: 16,
      resume: { rng: false },
    });
    const expected = await collectIds(inner, request);
    const got = await batches(engine);
    expect(got.flatMap(({ ids }) => [...ids])).toEqual(expected);
    expect(got.at(-1)?.finish).toEqual({ reason: "length" });
    expect(got.map(({ firstIndex }) => firstIndex)).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  test("refusals keep the server's words and are the client's fault", async () => {
    const { fake } = await start({ era });
    const long = { ...request, promptIds: new Uint32Array(5000) };
    await expect(collectIds(vllm({ url: fake.url }), long)).rejects.toMatchObject({
      kind: "invalid",
      code: "ENGINES_SERVER_REFUSED",
      message: expect.stringContaining("maximum context") as string,
    });
  });
});

describe("vllm", () => {
  test("resumes at the next index with prompt and output as one prompt", async () => {
    const { fake, inner } = await start();
    const whole = await collectIds(inner, request);
    const resumed = await batches(vllm({ url: fake.url }), {
      ...request,
      outputIds: Uint32Array.from(whole.slice(0, 10)),
      attempt: 1,
    });
    expect(resumed[0]?.firstIndex).toBe(10);
    expect(resumed.flatMap(({ ids }) => [...ids])).toHaveLength(14);
    expect(fake.calls.at(-1)?.body).toMatchObject({ max_tokens: 14, prompt: { length: 110 } });
  });

  test("seeds keep all 64 bits, and stop ids are told", async () => {
    const { fake } = await start();
    await collectIds(vllm({ url: fake.url }), {
      ...request,
      sampling: { ...request.sampling, seed: 2n ** 63n + 5n },
    });
    expect((fake.calls.at(-1)?.body as { seed: bigint }).seed).toBe(-(2n ** 63n) + 5n);
    const [first] = await collectIds(vllm({ url: fake.url }), request);
    const stopped = await batches(vllm({ url: fake.url }), {
      ...request,
      limits: { maxTokens: 24, ignoreEos: true, stopIds: [first!] },
    });
    expect(stopped.at(-1)?.finish).toEqual({ reason: "stop", stopId: first });
  });

  test("hands KV over by NIXL: parameters pass verbatim, decode computes no prompt", async () => {
    const sideChannel = new Map<string, Handoff>();
    const inner = createSimulatedEngine({ contextTokens: 2048 });
    const p = await start({ sideChannel, engine: inner });
    const d = await start({ sideChannel });
    const [prefill, decode] = [p, d].map(({ fake }) => vllm({ url: fake.url, connector: { name: "nixl" } }));
    const [first] = await batches(prefill!, { ...request, mode: "prefill" });
    expect(first?.handoff).toMatchObject({
      connector: "vllm-nixl",
      style: "sequential",
      heldTokens: 100,
      firstIds: [],
      firstEmittedBy: "nobody",
    });
    expect(p.fake.calls.at(-1)?.body).toMatchObject({
      max_tokens: 1,
      stream: false,
      kv_transfer_params: { do_remote_decode: true, remote_host: null },
    });
    const ids = await collectIds(decode!, { ...request, handoff: first!.handoff! });
    expect(d.fake.calls.at(-1)?.body).toMatchObject({
      kv_transfer_params: {
        do_remote_prefill: true,
        remote_block_ids: [[1, 2, 3]],
        opaque_number: 9_007_199_254_740_993n,
      },
    });
    expect(ids).toEqual(await collectIds(createSimulatedEngine({ contextTokens: 2048 }), request));
  });

  test.each([["cut"], ["errorInStream"], ["vanish"]] as const)(
    "a stream that ends by %s is a failure to be migrated, never an end",
    async (how) => {
      const { fake } = await start({ fault: { afterTokens: 5, how } });
      const seen: number[] = [];
      const run = (async () => {
        for await (const { ids } of vllm({ url: fake.url }).generate(request, { signal })) seen.push(...ids);
      })();
      await expect(run).rejects.toMatchObject({ kind: "unavailable" });
      expect(seen).toHaveLength(5);
    },
  );

  test("a full queue is overload, an absent server unreachable", async () => {
    const { fake } = await start({ isFull: () => true });
    await expect(collectIds(vllm({ url: fake.url }), request)).rejects.toMatchObject({ kind: "overloaded" });
    await fake.close();
    await expect(collectIds(vllm({ url: fake.url }), request)).rejects.toMatchObject({
      kind: "unavailable",
      code: "ENGINES_SERVER_UNREACHABLE",
    });
  });

  test("an abort closes the connection and frees the server", async () => {
    const { fake } = await start({
      engine: createSimulatedEngine({ contextTokens: 2048, stepTime: () => 5 }),
    });
    const controller = new AbortController();
    const run = (async () => {
      for await (const _ of vllm({ url: fake.url }).generate(
        { ...request, limits: { maxTokens: 1900, ignoreEos: true } },
        { signal: controller.signal },
      ))
        controller.abort();
    })();
    await expect(run).rejects.toMatchObject({ kind: "cancelled" });
    await expect.poll(() => fake.running).toBe(0);
  });

  test.each(["0.10", "0.29"] as const)("load comes from the metrics of %s, under its names", async (era) => {
    const inner = createSimulatedEngine({ contextTokens: 2048, kvBlocks: 100, stepTime: () => 2 });
    const { fake } = await start({ era, engine: inner });
    const engine = vllm({ url: fake.url, pollMs: 5 });
    let most = { running: 0, kvBlocksUsed: 0, kvBlocksTotal: 0 };
    engine.onStatus?.(({ load }) => {
      if (load.kvBlocksUsed > most.kvBlocksUsed) most = load;
    });
    const run = collectIds(engine, { ...request, limits: { maxTokens: 100, ignoreEos: true } });
    await expect.poll(() => most.kvBlocksUsed).toBeGreaterThanOrEqual(6);
    expect(most).toMatchObject({ running: 1, waiting: 0 });
    await run;
    await engine.close();
  });
});

test.each(["0.10", "0.29"] as const)(
  "KV events of vLLM %s name the blocks of a prompt as we do",
  async (era) => {
    const publisher = await startKvPublisher();
    try {
      const { fake } = await start({ era, publisher });
      const address = `${publisher.endpoint}?replay=${publisher.replay}`;
      const engine = vllm({ url: fake.url, kvEvents: address, pollMs: 20 });
      await engine.ready();
      const held = new Set<bigint>();
      engine.onStatus?.(({ events = [] }) => {
        for (const event of events.flatMap((batch) => batch.events))
          if (event.type === "stored") for (const name of event.sequenceHashes) held.add(name);
      });
      const names = [...nameBlocks(prompt, { blockTokens: 16 })];
      let n = 0;
      await expect
        .poll(
          async () => {
            // The second prompt makes a message that shows what was missed before the subscription began.
            await collectIds(engine, request);
            const other = Uint32Array.from(prompt, (id) => (id + ++n) % 250);
            await collectIds(engine, { ...request, promptIds: other });
            return names.every((name) => held.has(name));
          },
          { timeout: 5_000 },
        )
        .toBe(true);
      expect(engine.snapshot?.()?.events.length).toBeGreaterThan(0);
      await engine.close();
    } finally {
      publisher.close();
    }
  },
);

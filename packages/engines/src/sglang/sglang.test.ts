import { afterEach, describe, expect, test } from "vitest";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  collectIds,
  createRequest,
  silentLogger,
  type Engine,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";
import { createSimulatedEngine } from "../simulated/index.ts";
import type { EngineFake } from "../testing/fakes/http-fake.ts";
import { createMeetingRooms } from "../testing/fakes/meeting-rooms.ts";
import { startSglangFake, type SglangFakeOptions } from "../testing/fakes/sglang-fake.ts";
import { sglang } from "./sglang.ts";

const opened: EngineFake[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((fake) => fake.close()));
});
async function start(options: Partial<SglangFakeOptions> = {}): Promise<EngineFake> {
  const fake = await startSglangFake({ engine: createSimulatedEngine({ contextTokens: 2048 }), ...options });
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
const expected = (r = request): Promise<number[]> =>
  collectIds(createSimulatedEngine({ contextTokens: 2048 }), r);
async function batches(engine: Engine, r: GenerateRequest): Promise<TokenBatch[]> {
  const all: TokenBatch[] = [];
  for await (const batch of engine.generate(r, { signal })) all.push(batch);
  return all;
}

describe.each(["cumulative", "delta"] as const)("a %s stream", (stream) => {
  test("gives every id once, with its log probabilities", async () => {
    const fake = await start({ stream });
    const got = await batches(sglang({ url: fake.url }), { ...request, topLogprobs: 2 });
    const whole = await batches(createSimulatedEngine({ contextTokens: 2048 }), {
      ...request,
      topLogprobs: 2,
    });
    expect(got.flatMap(({ ids }) => [...ids])).toEqual(whole.flatMap(({ ids }) => [...ids]));
    expect(got.flatMap(({ logprobs }) => logprobs ?? [])).toEqual(
      whole.flatMap(({ logprobs }) => logprobs ?? []),
    );
  });

  test.each(["cut", "abort", "vanish"] as const)(
    "that ends by %s is a failure, never an end",
    async (how) => {
      const fake = await start({ stream, fault: { afterTokens: 5, how } });
      const seen: number[] = [];
      const run = (async () => {
        for await (const { ids } of sglang({ url: fake.url }).generate(request, { signal }))
          seen.push(...ids);
      })();
      await expect(run).rejects.toMatchObject({ kind: "unavailable" });
      expect(seen).toEqual((await expected()).slice(0, 5));
    },
  );
});

test("a full queue inside of a 200 stream is overload", async () => {
  const fake = await start({ isFull: () => true });
  await expect(collectIds(sglang({ url: fake.url }), request)).rejects.toMatchObject({
    kind: "overloaded",
    code: "ENGINES_SERVER_BUSY",
    message: expect.stringContaining("queue is full") as string,
  });
});

test("gauges that every tensor-parallel rank repeats count once", async () => {
  const engine = createSimulatedEngine({ contextTokens: 2048, stepTime: () => 5 });
  for (const tensorRanks of [1, 8]) {
    const fake = await start({ engine, tensorRanks });
    const adapter = sglang({ url: fake.url, pollMs: 10 });
    let running = 0;
    adapter.onStatus?.(({ load }) => (running = load.running));
    const controller = new AbortController();
    const run = collectIds(engine, { ...request, limits: { maxTokens: 1900, ignoreEos: true } }, controller);
    await expect.poll(() => running).toBe(1);
    controller.abort();
    await expect(run).rejects.toMatchObject({ kind: "cancelled" });
    await adapter.close();
  }
});

test("an id beyond the vocabulary never reaches the server, tokenizer or not", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "stator-model-"));
  try {
    await writeFile(path.join(folder, "config.json"), JSON.stringify({ text_config: { vocab_size: 1_000 } }));
    const beyond = { ...request, promptIds: Uint32Array.of(40, 1_000) };
    for (const options of [
      { serverInfo: { vocab_size: 1_000 } },
      { serverInfo: { model_path: folder } },
      {},
    ]) {
      const fake = await start(options);
      const engine = sglang({ url: fake.url, ...("serverInfo" in options ? {} : { vocabulary: 1_000 }) });
      await expect(collectIds(engine, beyond)).rejects.toMatchObject({
        code: "ENGINES_PROMPT_INVALID",
        kind: "invalid",
        message: expect.stringContaining("Id 1000 at position 1") as string,
      });
      expect(fake.calls.some(({ path: asked }) => asked === "/generate")).toBe(false);
      expect(await collectIds(engine, request)).toEqual(await expected());
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("where the vocabulary cannot be known, that is said", async () => {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  await sglang({ url: (await start()).url, logger }).ready();
  expect(warnings).toEqual([expect.stringContaining("give tokenizerPath or vocabulary")]);
});

test("load comes from /get_load where there are no metrics", async () => {
  const fake = await start({ withoutMetrics: true });
  const adapter = sglang({ url: fake.url, pollMs: 10 });
  const status = await new Promise((resolve) => adapter.onStatus?.(resolve));
  expect(status).toMatchObject({ load: { running: 0, waiting: 0 } });
  await adapter.close();
});

describe("disaggregated", () => {
  const room = 2n ** 62n + 12_345n;
  async function pair(options: Partial<SglangFakeOptions> = {}): Promise<{
    prefill: EngineFake;
    decode: EngineFake;
    run(r?: GenerateRequest): Promise<{ ids: number[]; prefilled: TokenBatch[] }>;
  }> {
    const rooms = createMeetingRooms();
    const [p, d] = [
      await start({ mode: "prefill", rooms }),
      await start({ mode: "decode", rooms, ...options }),
    ];
    const connector = { name: "bootstrap", port: 8998 } as const;
    const [prefill, decode] = [sglang({ url: p.url, connector }), sglang({ url: d.url, connector })];
    const card = await prefill.ready();
    await decode.ready();
    const handoff = {
      connector: "sglang-bootstrap",
      style: "rendezvous",
      opaque: card.connectors[0]!.endpoint!,
      room,
      heldTokens: 100,
      firstIds: [],
      firstEmittedBy: "nobody",
      compatibilityDigest: card.kvLayoutDigest,
    } as const;
    return {
      prefill: p,
      decode: d,
      async run(r = request) {
        const [prefilled, ids] = await Promise.all([
          batches(prefill, { ...r, mode: "prefill", handoff }),
          collectIds(decode, { ...r, handoff }),
        ]);
        return { ids, prefilled };
      },
    };
  }

  test("both sides get the same body with a room of 63 bits, and decode tells the first id", async () => {
    const { prefill, decode, run } = await pair();
    const { ids, prefilled } = await run();
    expect(ids).toEqual(await expected());
    expect(prefilled).toMatchObject([{ ids: [], finish: { reason: "length" } }]);
    const bodies = [prefill, decode].map(({ calls }) => calls.at(-1)!.body as Record<string, unknown>);
    // The room joins the two; a request id is never used twice.
    const { rid: prefillId, ...prefillBody } = bodies[0]!;
    const { rid: decodeId, ...decodeBody } = bodies[1]!;
    expect(prefillBody).toEqual({ ...decodeBody, stream: false });
    expect(prefillId).not.toBe(decodeId);
    expect(bodies[1]).toMatchObject({
      bootstrap_host: "127.0.0.1",
      bootstrap_port: 8998,
      bootstrap_room: room,
    });
  });

  test("a first id that ends the request ends it at decode too", async () => {
    const { run } = await pair();
    const short = { ...request, limits: { maxTokens: 1, ignoreEos: true } };
    expect((await run(short)).ids).toEqual(await expected(short));
  });

  test("a transfer that fails blames the KV, so that the prompt is computed elsewhere", async () => {
    const { run } = await pair({ transferFails: () => true });
    await expect(run()).rejects.toMatchObject({ code: "ENGINES_HANDOFF_FAILED", kind: "unavailable" });
  });
});

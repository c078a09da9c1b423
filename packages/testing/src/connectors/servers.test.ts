import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { collectIds, createRequest, type Deadlines, type Engine, type Handoff } from "@stator/core";
import { llamaServer } from "@stator/engines/llama-server";
import { sglang } from "@stator/engines/sglang";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import {
  createMeetingRooms,
  startLlamaServerFake,
  startSglangFake,
  startTrtllmFake,
  startVllmFake,
  type EngineFake,
  type SavedState,
} from "@stator/engines/testing";
import { trtllm } from "@stator/engines/trtllm";
import { vllm } from "@stator/engines/vllm";
import { always, createPool, disaggregated, migrating } from "@stator/router";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

type Ready = Engine & { ready(): Promise<unknown>; close(): Promise<void> };

interface Pair {
  readonly prefill: Ready;
  readonly decode: Ready;
  readonly fakes: { readonly prefill: EngineFake; readonly decode: EngineFake };
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "stator-slots-"));
});
afterAll(() => rm(folder, { recursive: true }));

const inner = (): Engine =>
  createSimulatedEngine({
    contextTokens: 2048,
    stepTime: linearStepTime({ baseMs: 1, perPrefillTokenMs: 0.05 }),
  });
async function fake(starting: Promise<EngineFake>): Promise<EngineFake> {
  const started = await starting;
  closing.push(() => started.close());
  return started;
}
const pairOf = (prefill: Ready, decode: Ready, p: EngineFake, d: EngineFake): Pair => ({
  prefill,
  decode,
  fakes: { prefill: p, decode: d },
});

async function mooncakeBootstrap(): Promise<string> {
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ 0: { engine_id: "engine-0" } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(async () => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Options {
  readonly silentMs?: number;
}
const kinds: Readonly<Record<string, (options: Options) => Promise<Pair>>> = {
  "vLLM over NIXL": async (options) => {
    const sideChannel = new Map<string, Handoff>();
    const [p, d] = [
      await fake(startVllmFake({ engine: inner(), sideChannel })),
      await fake(startVllmFake({ engine: inner(), sideChannel })),
    ];
    const connector = { name: "nixl" } as const;
    return pairOf(
      vllm({ ...options, url: p.url, connector }),
      vllm({ ...options, url: d.url, connector }),
      p,
      d,
    );
  },
  "vLLM over Mooncake": async (options) => {
    const rooms = createMeetingRooms();
    const [p, d] = [
      await fake(startVllmFake({ engine: inner(), rooms })),
      await fake(startVllmFake({ engine: inner(), rooms })),
    ];
    const bootstrap = await mooncakeBootstrap();
    return pairOf(
      vllm({ ...options, url: p.url, connector: { name: "mooncake", bootstrap } }),
      vllm({ ...options, url: d.url, connector: { name: "mooncake" } }),
      p,
      d,
    );
  },
  "vLLM over P2P-NCCL": async (options) => {
    const rooms = createMeetingRooms();
    const [p, d] = [
      await fake(startVllmFake({ engine: inner(), rooms })),
      await fake(startVllmFake({ engine: inner(), rooms })),
    ];
    return pairOf(
      vllm({ ...options, url: p.url, connector: { name: "p2p-nccl", kvAddress: "10.0.0.1:21001" } }),
      vllm({ ...options, url: d.url, connector: { name: "p2p-nccl", kvAddress: "10.0.0.2:22001" } }),
      p,
      d,
    );
  },
  SGLang: async (options) => {
    const rooms = createMeetingRooms();
    const [p, d] = [
      await fake(startSglangFake({ engine: inner(), mode: "prefill", rooms })),
      await fake(startSglangFake({ engine: inner(), mode: "decode", rooms })),
    ];
    const connector = { name: "bootstrap" } as const;
    return pairOf(
      sglang({ ...options, url: p.url, connector }),
      sglang({ ...options, url: d.url, connector }),
      p,
      d,
    );
  },
  "TensorRT-LLM": async (options) => {
    const transceiver = new Map<string, Handoff>();
    const [p, d] = [
      await fake(startTrtllmFake({ engine: inner(), transceiver })),
      await fake(startTrtllmFake({ engine: inner(), transceiver })),
    ];
    const connector = { name: "context" } as const;
    return pairOf(
      trtllm({ ...options, url: p.url, connector }),
      trtllm({ ...options, url: d.url, connector }),
      p,
      d,
    );
  },
  "llama-server": async (options) => {
    const states = new Map<string, SavedState>();
    const [p, d] = [
      await fake(startLlamaServerFake({ engine: inner(), slotFolder: folder, states })),
      await fake(startLlamaServerFake({ engine: inner(), slotFolder: folder, states })),
    ];
    const connector = { name: "slot-files", folder } as const;
    return pairOf(
      llamaServer({ ...options, url: p.url, connector }),
      llamaServer({ ...options, url: d.url, connector }),
      p,
      d,
    );
  },
};

const request = (seed: number) =>
  createRequest({
    id: `r${seed}`,
    model: "simulated",
    promptIds: Uint32Array.from(
      { length: 300 },
      (_, i) => 32 + ((i * 11 + seed * 17 + (i >> 4) * seed) % 90),
    ),
    limits: { maxTokens: 40, ignoreEos: true },
  });
const undisturbed = (r: ReturnType<typeof request>): Promise<number[]> =>
  collectIds(createSimulatedEngine({ contextTokens: 2048 }), r);

describe.each(Object.keys(kinds))("%s, disaggregated over two servers", (kind) => {
  async function graphOf(
    pair: Pair,
    deadlines: Partial<Deadlines> = {},
  ): Promise<{
    engine: Engine;
    counts: { readonly handedOver: number; readonly fallbacks: number };
  }> {
    await Promise.all([pair.prefill.ready(), pair.decode.ready()]);
    closing.unshift(() => Promise.all([pair.prefill.close(), pair.decode.close()]));
    const joined = disaggregated({
      prefill: createPool({ workers: [pair.prefill], name: "prefill" }),
      decode: createPool({ workers: [pair.decode], name: "decode" }),
      when: always,
      deadlines,
    });
    return { engine: migrating(joined), counts: joined.counts };
  }

  test("gives the text of one server, for requests side by side", async () => {
    const { engine, counts } = await graphOf(await kinds[kind]!({}));
    const requests = [1, 2, 3, 4].map(request);
    const texts = await Promise.all(requests.map((r) => collectIds(engine, r)));
    expect(texts).toEqual(await Promise.all(requests.map(undisturbed)));
    expect(counts).toMatchObject({ handedOver: 4, fallbacks: 0 });
  });

  test("computes the prompt at decode when the prefill server is gone, and disaggregates again when it is back", async () => {
    const pair = await kinds[kind]!({});
    const { engine, counts } = await graphOf(pair);
    pair.fakes.prefill.refuse(true);
    expect(await collectIds(engine, request(1))).toEqual(await undisturbed(request(1)));
    expect(counts).toMatchObject({ handedOver: 0, fallbacks: 1 });
    pair.fakes.prefill.refuse(false);
    await expect
      .poll(
        async () => {
          await collectIds(engine, request(2));
          return counts.handedOver;
        },
        { timeout: 15_000, interval: 200 },
      )
      .toBe(1);
  });

  const asked = ({ calls }: EngineFake): number =>
    calls.filter(({ path: one }) => /generate|completion|slots\/\d/.test(one)).length;

  test("computes the prompt at decode when the prefill server dies over it", async () => {
    const pair = await kinds[kind]!({});
    const { engine, counts } = await graphOf(pair);
    pair.fakes.prefill.hang(true);
    const run = collectIds(engine, request(1));
    await expect.poll(() => asked(pair.fakes.prefill)).toBeGreaterThan(0);
    pair.fakes.prefill.refuse(true);
    expect(await run).toEqual(await undisturbed(request(1)));
    expect(counts).toMatchObject({ handedOver: 0, fallbacks: 1 });
    await expect.poll(() => pair.fakes.prefill.running + pair.fakes.decode.running).toBe(0);
  });

  test("computes the prompt at decode when the prefill server is stuck, and leaves nothing waiting there", async () => {
    const pair = await kinds[kind]!({ silentMs: 2_000 });
    const { engine, counts } = await graphOf(pair);
    pair.fakes.prefill.hang(true);
    expect(await collectIds(engine, request(1))).toEqual(await undisturbed(request(1)));
    expect(counts).toMatchObject({ handedOver: 0, fallbacks: 1 });
    await expect.poll(() => pair.fakes.prefill.running + pair.fakes.decode.running).toBe(0);
  });

  test("gives a decode server that is stuck over the KV up by a deadline of its own, and asks it for the whole", async () => {
    const pair = await kinds[kind]!({});
    const { engine, counts } = await graphOf(pair, { kvTransferBaseMs: 300 });
    pair.fakes.decode.hang(true);
    const run = collectIds(engine, request(1));
    await expect.poll(() => asked(pair.fakes.decode)).toBeGreaterThan(0);
    pair.fakes.decode.hang(false);
    expect(await run).toEqual(await undisturbed(request(1)));
    expect(counts).toMatchObject({ handedOver: 0, fallbacks: 1 });
    await expect.poll(() => pair.fakes.prefill.running + pair.fakes.decode.running).toBe(0);
  });

  test("frees both servers when the caller leaves", async () => {
    const pair = await kinds[kind]!({});
    const { engine } = await graphOf(pair);
    const long = { ...request(1), limits: { maxTokens: 1_500, ignoreEos: true } };
    const controller = new AbortController();
    const run = (async () => {
      for await (const _ of engine.generate(long, { signal: controller.signal })) controller.abort();
    })();
    await expect(run).rejects.toMatchObject({ kind: "cancelled" });
    await expect.poll(() => pair.fakes.prefill.running + pair.fakes.decode.running).toBe(0);
  });
});

test("a stream whose vLLM server dies goes on at another, greedy, with the same text", async () => {
  const [a, b] = [
    await fake(startVllmFake({ engine: inner(), fault: { afterTokens: 7, how: "cut" } })),
    await fake(startVllmFake({ engine: inner(), fault: { afterTokens: 100_000, how: "cut" } })),
  ];
  const engines = [vllm({ url: a.url }), vllm({ url: b.url })];
  await Promise.all(engines.map((engine) => engine.ready()));
  closing.unshift(() => Promise.all(engines.map((engine) => engine.close())));
  const graph = migrating(createPool({ workers: engines }));
  for (const seed of [1, 2, 3]) {
    expect(await collectIds(graph, request(seed))).toEqual(await undisturbed(request(seed)));
  }
  expect(a.calls.some(({ path: asked }) => asked === "/v1/completions")).toBe(true);
});

test("a sampled stream is not resumed where its random numbers would start anew", async () => {
  const a = await fake(startVllmFake({ engine: inner(), fault: { afterTokens: 7, how: "cut" } }));
  const b = await fake(startVllmFake({ engine: inner(), fault: { afterTokens: 7, how: "cut" } }));
  const engines = [vllm({ url: a.url }), vllm({ url: b.url })];
  await Promise.all(engines.map((engine) => engine.ready()));
  closing.unshift(() => Promise.all(engines.map((engine) => engine.close())));
  const graph = migrating(createPool({ workers: engines }));
  const sampled = { ...request(1), sampling: { ...request(1).sampling, temperature: 0.8 } };
  await expect(collectIds(graph, sampled)).rejects.toMatchObject({ kind: "unavailable" });
  expect(a.calls.concat(b.calls).filter(({ path: asked }) => asked === "/v1/completions")).toHaveLength(1);
});

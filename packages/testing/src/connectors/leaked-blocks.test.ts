import {
  collectIds,
  createRequest,
  StatorError,
  type EngineLoad,
  type Handoff,
  type RequestEvent,
} from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { startVllmFake } from "@stator/engines/testing";
import { vllm } from "@stator/engines/vllm";
import { always, createPool, disaggregated, migrating } from "@stator/router";
import { afterEach, expect, test } from "vitest";
import { collect } from "../collect/collect.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const blockTokens = 16;
const promptTokens = 300;
const promptBlocks = Math.ceil(promptTokens / blockTokens);
const request = (seed: number) =>
  createRequest({
    id: `r${seed}`,
    model: "simulated",
    promptIds: Uint32Array.from({ length: promptTokens }, (_, i) => 32 + ((i * 11 + seed * 17) % 90)),
    limits: { maxTokens: 20, ignoreEos: true },
  });

const isRefusal = (error: unknown): boolean =>
  StatorError.isInstance(error) && (error.kind === "unavailable" || error.kind === "overloaded");

/** A vLLM prefill server and its decode server over NIXL, whose prefill keeps what nobody reads for `holdMs`. */
async function pair(holdMs: number) {
  const sideChannel = new Map<string, Handoff>();
  const fakeOf = async () => {
    const engine = createSimulatedEngine({ contextTokens: 2048 });
    const fake = await startVllmFake({ engine, sideChannel, holdMs });
    closing.push(() => fake.close());
    return fake;
  };
  const [p, d] = [await fakeOf(), await fakeOf()];
  const connector = { name: "nixl", holdMs } as const;
  const engines = [p, d].map(({ url }) => vllm({ url, connector, pollMs: 20 }));
  await Promise.all(engines.map((engine) => engine.ready()));
  closing.push(() => Promise.all(engines.map((engine) => engine.close())));
  const loads: EngineLoad[] = [];
  engines[0]!.onStatus!(({ load }) => loads.push(load));
  const deadlines = { queueWaitMs: 50 };
  const prefill = createPool({ workers: [engines[0]!], name: "prefill", deadlines });
  const decode = createPool({ workers: [engines[1]!], name: "decode", deadlines });
  const joined = disaggregated({ prefill, decode, when: always });
  return { p, d, loads, joined };
}

test("KV of a decode server that died before it read is accounted to the prefill server that keeps it, until it is free", async () => {
  const { d, loads, joined } = await pair(2_000);
  d.refuse(true);
  const graph = migrating(joined, { attempts: 1 });
  await expect(collectIds(graph, request(1))).rejects.toSatisfy(isRefusal);
  expect(loads.at(-1)).toMatchObject({ kvBlocksLeaked: promptBlocks });
  // The server's own word says the same, without saying what for.
  await expect.poll(() => loads.at(-1)).toMatchObject({ kvBlocksUsed: promptBlocks, running: 0 });
  await expect
    .poll(() => [loads.at(-1)!.kvBlocksUsed, loads.at(-1)!.kvBlocksLeaked], { timeout: 10_000 })
    .toEqual([0, undefined]);
});

test("KV that decode read is no leak", async () => {
  const { loads, joined } = await pair(60_000);
  const graph = migrating(joined);
  await Promise.all([1, 2, 3].map((seed) => collectIds(graph, request(seed))));
  expect(joined.counts).toMatchObject({ handedOver: 3, fallbacks: 0 });
  await expect.poll(() => loads.at(-1)).toMatchObject({ kvBlocksUsed: 0 });
  expect(loads.some(({ kvBlocksLeaked = 0 }) => kvBlocksLeaked > 0)).toBe(false);
});

test("a prefill server that restarted keeps nothing of its former life", async () => {
  const { p, d, loads, joined } = await pair(60_000);
  d.refuse(true);
  const graph = migrating(joined, { attempts: 1 });
  await expect(collectIds(graph, request(1))).rejects.toSatisfy(isRefusal);
  expect(loads.at(-1)).toMatchObject({ kvBlocksLeaked: promptBlocks });
  p.refuse(true);
  await expect.poll(() => loads.at(-1)?.kvBlocksLeaked).toBeUndefined();
});

test("an engine that can free what is abandoned leaks nothing", async () => {
  const [prefill, decode] = [createSimulatedEngine(), createSimulatedEngine()];
  const pool = createPool({ workers: [decode], deadlines: { queueWaitMs: 50 } });
  const joined = disaggregated({ prefill, decode: pool, when: always });
  const loads: EngineLoad[] = [];
  prefill.onStatus(({ load }) => loads.push(load));
  const onEvent = ({ type }: RequestEvent): void => {
    if (type === "prefilled") decode.crash();
  };
  const run = collect(migrating(joined, { attempts: 1 }), request(1), { onEvent });
  await expect(run).rejects.toSatisfy(isRefusal);
  expect(prefill.usedBlocks()).toBe(0);
  expect(loads.length).toBeGreaterThan(0);
  expect(loads.some(({ kvBlocksLeaked = 0 }) => kvBlocksLeaked > 0)).toBe(false);
});

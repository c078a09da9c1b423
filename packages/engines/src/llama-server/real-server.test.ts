import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { collectIds, createRequest, type Engine } from "@stator/core";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import {
  llamaServerIfPresent,
  startLlamaServer,
  type LlamaServer,
} from "../../test/llama-server-capability.ts";
import { tinyModelPath } from "../llama/tiny-model.ts";
import { batchesOf, engineSuite, type EngineFixture } from "../testing/engine-suite.ts";
import { llamaServer } from "./llama-server.ts";

const binary = await llamaServerIfPresent();

describe.skipIf(binary === undefined)("a real llama-server", () => {
  let folder: string;
  let servers: LlamaServer[];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "stator-slots-"));
    servers = await Promise.all([0, 1].map(() => startLlamaServer(binary!, tinyModelPath(), folder)));
  }, 60_000);
  afterAll(async () => {
    await Promise.all((servers ?? []).map((server) => server.stop()));
    await rm(folder, { recursive: true });
  });

  let next = 0;
  const create = async (): Promise<Engine> => {
    const engine = llamaServer({
      url: servers[next++ % 2]!.url,
      connector: { name: "slot-files", folder },
      tokenizerPath: tinyModelPath(),
    });
    await engine.ready();
    return engine;
  };
  const prompt: EngineFixture["prompt"] = (seed, tokens) =>
    Uint32Array.from(
      { length: tokens },
      (_, i) => 3 + ((Math.imul(seed * 131 + i + 1, 2654435761) >>> 9) % 470),
    );

  for (const { name, run } of engineSuite({ create, prompt })) {
    it(name, async ({ skip }) => {
      const inapplicable = await run();
      if (typeof inapplicable === "string") skip(inapplicable);
    });
  }

  const request = createRequest({
    id: "r",
    model: "tiny",
    promptIds: prompt(7, 200),
    limits: { maxTokens: 64, ignoreEos: true },
  });

  test("KV goes over by slot file: decode computes one token, and says the same as a server alone", async () => {
    const [prefill, decode] = [await create(), await create()];
    const whole = await collectIds(prefill, request);
    const [first] = await batchesOf(prefill, { ...request, mode: "prefill" });
    const handoff = first!.handoff!;
    const batches = await batchesOf(decode, { ...request, handoff });
    expect(batches.flatMap(({ ids }) => [...ids])).toEqual(whole);
    expect(batches[0]?.cachedTokens).toBe(199);
    prefill.releaseHandoff?.(handoff, "taken");
    await expect.poll(() => readdir(folder)).toEqual([]);
    await Promise.all([prefill.close?.(), decode.close?.()]);
  });

  test("streams with characters of many tokens lose no id", async () => {
    const engine = await create();
    for (const seed of [1, 2, 3, 4, 5]) {
      const one = { ...request, promptIds: prompt(seed, 60), limits: { maxTokens: 100, ignoreEos: true } };
      const ids = await collectIds(engine, one);
      const answer = await fetch(`${servers[0]!.url}/completion`, {
        method: "POST",
        body: JSON.stringify({
          prompt: [...one.promptIds],
          n_predict: 100,
          temperature: 0,
          ignore_eos: true,
          return_tokens: true,
          chat_parser: JSON.stringify({ parsers: [{ type: "epsilon" }], rules: {}, root: 0 }),
        }),
      });
      expect(ids).toEqual(((await answer.json()) as { tokens: number[] }).tokens);
    }
    await engine.close?.();
  });

  test("load tells what runs", async () => {
    const engine = llamaServer({ url: servers[0]!.url, pollMs: 10 });
    let running = 0;
    engine.onStatus?.(({ load }) => (running = load.running));
    const controller = new AbortController();
    const long = { ...request, limits: { maxTokens: 300, ignoreEos: true } };
    const run = collectIds(engine, long, { signal: controller.signal }).catch((error: unknown) => error);
    await expect.poll(() => running, { interval: 2 }).toBe(1);
    controller.abort();
    await run;
    await expect.poll(() => running).toBe(0);
    await engine.close();
  });
});

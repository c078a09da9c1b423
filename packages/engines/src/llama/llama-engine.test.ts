import { access, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createRequest,
  nameBlocks,
  type GenerateRequest,
  type RequestInit,
  type TokenBatch,
} from "@stator/core";
import { hostTier } from "@stator/kv-transfer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { makeTinyModel } from "../../../../tools/make-tiny-model.mjs";
import { llamaIfPresent } from "../../test/llama-capability.ts";
import { heldBlocks, heldBySnapshot } from "../testing/held-blocks.ts";
import { createLoopback } from "../handoff/loopback.ts";
import { createLlamaEngine, type LlamaEngine } from "./llama-engine.ts";
import type { LlamaEngineOptions } from "./options.ts";
import { tinyModelPath } from "./tiny-model.ts";

const isPresent = (await llamaIfPresent()) !== undefined;
const prompt = (seed: number, length: number): Uint32Array => {
  let state = seed >>> 0;
  return Uint32Array.from(
    { length },
    () => 3 + (((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % 480),
  );
};
const request = (init: Partial<RequestInit> = {}): GenerateRequest =>
  createRequest({ id: "r", model: "tiny", promptIds: prompt(1, 50), limits: { maxTokens: 32 }, ...init });
async function batches(engine: LlamaEngine, init: Partial<RequestInit> = {}): Promise<TokenBatch[]> {
  const out: TokenBatch[] = [];
  for await (const batch of engine.generate(request(init), { signal: new AbortController().signal }))
    out.push(batch);
  return out;
}
const idsOf = (all: readonly TokenBatch[]): number[] => all.flatMap(({ ids }) => [...ids]);
const run = async (engine: LlamaEngine, init: Partial<RequestInit> = {}): Promise<number[]> =>
  idsOf(await batches(engine, init));
const sampled = {
  temperature: 0.9,
  topP: 0.95,
  topK: 40,
  minP: 0.01,
  seed: 11n,
  presencePenalty: 0.5,
  frequencyPenalty: 0.2,
  repetitionPenalty: 1.1,
};

describe.skipIf(!isPresent)("createLlamaEngine", () => {
  const open: LlamaEngine[] = [];
  const make = async (options: Partial<LlamaEngineOptions> = {}): Promise<LlamaEngine> => {
    const engine = await createLlamaEngine({ modelPath: tinyModelPath(), contextTokens: 512, ...options });
    open.push(engine);
    return engine;
  };
  let engine: LlamaEngine;
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "stator-engine-"));
    engine = await make();
  });
  afterAll(async () => {
    await Promise.all(open.map((each) => each.close()));
    await rm(folder, { recursive: true });
  });

  it("says what it is in its card, and serves the tokenizer that the card names", async () => {
    expect(engine.card).toMatchObject({
      model: "stator-tiny-spm",
      contextTokens: 512,
      blockTokens: 16,
      addBos: true,
      batchInvariant: true,
      specialIds: { bos: 1, eos: [2, 493] },
      connectors: [{ name: "stator-blocks", style: "sequential" }],
    });
    const artifact = await engine.artifact(engine.card!.tokenizer.digest, {
      signal: new AbortController().signal,
    });
    expect(JSON.parse(new TextDecoder().decode(artifact))).toMatchObject({ model: { type: "BPE" } });
    await expect(engine.artifact("other", { signal: new AbortController().signal })).rejects.toMatchObject({
      kind: "notFound",
    });
  });

  it("gives the same ids alone, in company and from reused KV", async () => {
    const alone = await run(engine);
    expect(alone).toHaveLength(32);
    const company = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((i) => run(engine, { promptIds: prompt(i, 40 + i) })),
    );
    expect(company[1]).not.toEqual(company[2]);
    const again = await batches(engine);
    expect(again[0]?.cachedTokens).toBeGreaterThanOrEqual(48);
    expect(idsOf(again)).toEqual(alone);
    const cold = await make();
    expect(await run(cold, { promptIds: prompt(3, 43) })).toEqual(company[3]);
  });

  it.each([
    ["greedy", {}],
    ["sampled", { sampling: sampled }],
    ["sampled with log probabilities", { sampling: sampled, topLogprobs: 3 }],
  ])("goes on exactly where a resume starts (%s)", async (_, init) => {
    const whole = await batches(engine, init);
    const ids = idsOf(whole);
    for (const cut of [1, 7, 16, 31]) {
      const rest = await batches(engine, { ...init, outputIds: Uint32Array.from(ids.slice(0, cut)) });
      expect(rest[0]?.firstIndex).toBe(cut);
      expect(idsOf(rest)).toEqual(ids.slice(cut));
      const logprobs = (all: readonly TokenBatch[]) => all.flatMap((batch) => batch.logprobs ?? []);
      const close = ({ logprob }: { logprob: number }) => expect.closeTo(logprob, 4) as number;
      expect(logprobs(rest).map(({ logprob }) => logprob)).toEqual(logprobs(whole).slice(cut).map(close));
    }
  });

  it("samples by seed and choice", async () => {
    const base = await run(engine, { sampling: sampled });
    expect(await run(engine, { sampling: { ...sampled, seed: 12n } })).not.toEqual(base);
    expect(await run(engine, { sampling: sampled, choice: 1 })).not.toEqual(base);
    expect(await run(engine, { sampling: sampled })).toEqual(base);
  });

  it("keeps its promises: every block that the events say is there is not computed again", async () => {
    const own = await make({ sequences: 2, tiers: [hostTier({ budgetBytes: 40 * 8192 })] });
    const held = heldBlocks(own);
    for (let i = 0; i < 12; i++) {
      const promptIds = prompt(i % 5, 100);
      own.snapshot();
      const names = nameBlocks(promptIds.subarray(0, 99), { blockTokens: 16 });
      let promised = 0;
      while (held.has(names[promised]!)) promised++;
      expect(own.estimate(request({ promptIds })).cachedTokens).toBeGreaterThanOrEqual(promised * 16);
      const [first] = await batches(own, { promptIds, limits: { maxTokens: 8 } });
      expect(first?.cachedTokens).toBeGreaterThanOrEqual(promised * 16);
    }
    expect(heldBySnapshot(own.snapshot())).toEqual(held.all);
  });

  it("never shares KV between tenants", async () => {
    await run(engine, { promptIds: prompt(77, 64), tenantSalt: "a" });
    expect((await batches(engine, { promptIds: prompt(77, 64), tenantSalt: "b" }))[0]?.cachedTokens).toBe(0);
    expect((await batches(engine, { promptIds: prompt(77, 64), tenantSalt: "a" }))[0]?.cachedTokens).toBe(63);
  });

  it("hands KV over: another engine goes on with the same ids on 40 prompts, and only missing blocks travel", async () => {
    const transfer = createLoopback();
    let travelled = 0;
    const counting = {
      source: transfer.source,
      sink: {
        async fetch(...[opaque, options]: Parameters<typeof transfer.sink.fetch>) {
          const blocks = await transfer.sink.fetch(opaque, options);
          travelled += blocks.filter((block) => block !== undefined).length;
          return blocks;
        },
      },
    };
    const prefill = await make({ transfer });
    const decode = await make({ transfer: counting, contextTokens: 640, sequences: 3 });
    const shared = prompt(5000, 128);
    for (let i = 0; i < 40; i++) {
      const promptIds = Uint32Array.from([...shared, ...prompt(1000 + i, 20 + i)]);
      const whole = await run(engine, { promptIds });
      const [first] = await batches(prefill, { promptIds, mode: "prefill" });
      const { handoff } = first!;
      expect(handoff?.heldTokens).toBe(Math.floor(promptIds.length / 16) * 16);
      travelled = 0;
      const rest = await batches(decode, {
        promptIds,
        handoff: handoff!,
        outputIds: Uint32Array.from(handoff!.firstIds),
      });
      expect([...first!.ids, ...idsOf(rest)]).toEqual(whole);
      expect(rest[0]?.cachedTokens).toBeGreaterThanOrEqual(handoff!.heldTokens);
      expect(travelled).toBe(Math.floor(promptIds.length / 16) - (i === 0 ? 0 : 8));
    }
  });

  it("hands KV over with the engine's fast settings too", async () => {
    const transfer = createLoopback();
    const [prefill, decode] = [
      await make({ transfer, exact: false }),
      await make({ transfer, exact: false }),
    ];
    expect(prefill.card?.batchInvariant).toBe(false);
    expect(prefill.card?.kvLayoutDigest).not.toBe(engine.card?.kvLayoutDigest);
    const promptIds = prompt(31, 90);
    const [first] = await batches(prefill, { promptIds, mode: "prefill" });
    const outputIds = Uint32Array.from(first!.handoff!.firstIds);
    const rest = await batches(decode, { promptIds, handoff: first!.handoff!, outputIds });
    expect(rest[0]?.cachedTokens).toBe(80);
    expect([...outputIds, ...idsOf(rest)]).toEqual(await run(await make({ exact: false }), { promptIds }));
  });

  it("computes what a handoff promised and did not deliver, unless told to fail", async () => {
    const [first] = await batches(engine, { promptIds: prompt(9, 70), mode: "prefill" });
    engine.releaseHandoff(first!.handoff!, "abandoned");
    const whole = await run(engine, { promptIds: prompt(9, 70) });
    const other = await make({ onHandoffFailure: "recompute" });
    const outputIds = Uint32Array.from(first!.handoff!.firstIds);
    expect(await run(other, { promptIds: prompt(9, 70), handoff: first!.handoff!, outputIds })).toEqual(
      whole.slice(1),
    );
    const strict = await make();
    await expect(run(strict, { promptIds: prompt(9, 70), handoff: first!.handoff! })).rejects.toMatchObject({
      code: "TRANSFER_LEASE_GONE",
    });
    const wrong = { ...first!.handoff!, compatibilityDigest: "x" };
    await expect(run(other, { handoff: wrong })).rejects.toMatchObject({ kind: "incompatible" });
  });

  it("stops on abort between evaluations, frees the sequence, and the next request is right", async () => {
    const small = await make({ sequences: 1, batchTokens: 32 });
    const whole = await run(small);
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const pull = async (): Promise<void> => {
        let seen = 0;
        const stream = small.generate(
          request({ promptIds: prompt(50 + i, 300), limits: { maxTokens: 200 } }),
          { signal: controller.signal },
        );
        if (i % 2 === 0) setImmediate(() => controller.abort());
        for await (const { ids } of stream) if ((seen += ids.length) > i) controller.abort();
      };
      await expect(pull()).rejects.toMatchObject({ kind: "cancelled" });
      expect(await run(small)).toEqual(whole);
    }
  });

  it("refuses what does not fit and never drops the beginning of a context", async () => {
    await expect(run(engine, { promptIds: prompt(1, 512) })).rejects.toMatchObject({
      code: "ENGINES_CONTEXT_EXCEEDED",
      kind: "invalid",
    });
    const full = await batches(engine, {
      promptIds: prompt(1, 500),
      limits: { maxTokens: 100, ignoreEos: true },
    });
    expect(idsOf(full)).toHaveLength(12);
    expect(full.at(-1)?.finish).toEqual({ reason: "length" });
    await expect(run(engine, { promptIds: Uint32Array.of(1, 99_999) })).rejects.toMatchObject({
      code: "ENGINES_PROMPT_INVALID",
    });
    await expect(run(engine, { promptIds: new Uint32Array(0) })).rejects.toMatchObject({
      code: "ENGINES_PROMPT_INVALID",
    });
  });

  it("ends by stop id, obeys bias, min tokens and ignore_eos", async () => {
    const ids = await run(engine);
    const stopped = await batches(engine, { limits: { maxTokens: 32, stopIds: [ids[9]!] } });
    expect(idsOf(stopped)).toEqual(ids.slice(0, ids.indexOf(ids[9]!) + 1));
    const greedyBias = {
      ...sampled,
      temperature: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
    };
    expect(await run(engine, { sampling: { ...greedyBias, logitBias: new Map([[493, 100]]) } })).toEqual([
      493,
    ]);
    const late = await run(engine, {
      sampling: { ...greedyBias, logitBias: new Map([[493, 100]]) },
      limits: { maxTokens: 32, minTokens: 5 },
    });
    expect(late).toHaveLength(6);
    const never = await run(engine, {
      sampling: { ...greedyBias, logitBias: new Map([[493, 100]]) },
      limits: { maxTokens: 20, ignoreEos: true },
    });
    expect(never).toHaveLength(20);
  });

  it("reports steps and load, and leaves no state file behind", async () => {
    const own = await make({ stateFolder: folder, sequences: 1 });
    const loads: number[] = [];
    let steps = 0;
    own.onStatus(({ step, load }) => {
      loads.push(load.running);
      steps = step;
      expect(load.kvBlocksTotal).toBe(32);
    });
    await Promise.all([run(own), run(own, { promptIds: prompt(2, 60) })]);
    expect(steps).toBeGreaterThan(30);
    expect(Math.max(...loads)).toBe(1);
    const [mine] = await readdir(folder);
    expect(await readdir(path.join(folder, mine!))).toEqual([]);
    await own.close();
    await expect(access(path.join(folder, mine!))).rejects.toThrow();
    await expect(run(own)).rejects.toMatchObject({ code: "ENGINES_CLOSED" });
  });

  it.each([
    [
      "attention.sliding_window",
      64,
      /sliding-window.*aggregated only/,
      { kind: "sliding_window", windowTokens: 64 },
    ],
    ["ssm.state_size", 16, /recurrent state.*aggregated only/, { kind: "recurrent" }],
  ])("serves models with %s aggregated only, and says why", async (key, value, sentence, group) => {
    const modelPath = path.join(folder, `${key}.gguf`);
    await writeFile(
      modelPath,
      makeTinyModel({
        extra: (entries: { u32(key: string, value: number): void }) => entries.u32(`llama.${key}`, value),
      }),
    );
    const warnings: string[] = [];
    const nothing = (): void => {};
    const limited = await make({
      modelPath,
      logger: { debug: nothing, info: nothing, error: nothing, warn: (message) => warnings.push(message) },
    });
    expect(warnings.join()).toMatch(sentence);
    expect(limited.card).toMatchObject({ connectors: [], kvGroups: [group] });
    await expect(run(limited, { mode: "prefill" })).rejects.toMatchObject({ code: "ENGINES_UNSUPPORTED" });
    expect(await run(limited)).toEqual(await run(engine));
    expect(limited.snapshot()?.events).toEqual([]);
  });

  it("checks its options by name", async () => {
    await expect(make({ batchTokens: 1 })).rejects.toThrow(
      /batchTokens is 1; it must be a whole number from 2/,
    );
    await expect(make({ sequences: 0 })).rejects.toMatchObject({ code: "ENGINES_OPTION_INVALID" });
  });

  it("says what is wrong with a file that is no model", async () => {
    await expect(make({ modelPath: "/nonexistent.gguf" })).rejects.toMatchObject({
      code: "ENGINES_MODEL_INVALID",
    });
    const modelPath = path.join(folder, "noise.gguf");
    await writeFile(modelPath, "not a model at all");
    await expect(make({ modelPath })).rejects.toThrow(/does not start with GGUF/);
    await writeFile(modelPath, makeTinyModel().subarray(0, 3000));
    await expect(make({ modelPath })).rejects.toThrow(/header is cut off/);
    await writeFile(modelPath, makeTinyModel().subarray(0, 100_000));
    await expect(make({ modelPath })).rejects.toMatchObject({ code: "ENGINES_MODEL_INVALID" });
  });
});

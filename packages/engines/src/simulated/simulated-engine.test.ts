import {
  collectIds,
  createRequest,
  nameBlocks,
  type GenerateRequest,
  type Handoff,
  type RequestInit,
  type TokenBatch,
} from "@stator/core";
import { createTransferEnds, tcp } from "@stator/kv-transfer";
import { describe, expect, it } from "vitest";

import { createLoopback } from "../handoff/loopback.ts";
import { createSimulatedEngine, type SimulatedEngine } from "./simulated-engine.ts";

const fresh = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });
const prompt = (seed: number, length: number): Uint32Array =>
  Uint32Array.from(
    { length },
    (_, i) => 32 + (((Math.imul(seed + 1, 7919) + Math.imul(i, 104729)) >>> 3) % 90),
  );
const request = (init: Partial<RequestInit> = {}): GenerateRequest =>
  createRequest({
    id: "r",
    model: "simulated",
    promptIds: prompt(1, 50),
    limits: { maxTokens: 40 },
    ...init,
  });

async function run(engine: SimulatedEngine, init: Partial<RequestInit> = {}): Promise<number[]> {
  const ids: number[] = [];
  for await (const batch of engine.generate(request(init), fresh())) ids.push(...batch.ids);
  return ids;
}

async function batches(engine: SimulatedEngine, init: Partial<RequestInit> = {}): Promise<TokenBatch[]> {
  const out: TokenBatch[] = [];
  for await (const batch of engine.generate(request(init), fresh())) out.push(batch);
  return out;
}

const sampled = {
  temperature: 0.8,
  topP: 0.9,
  topK: 6,
  minP: 0.01,
  seed: 7n,
  presencePenalty: 0.5,
  frequencyPenalty: 0.3,
  repetitionPenalty: 1.1,
};

describe("createSimulatedEngine", () => {
  it("gives the same ids again, alone or in company", async () => {
    const alone = await run(createSimulatedEngine());
    expect(alone).toHaveLength(40);
    const engine = createSimulatedEngine({ maxBatchedTokens: 16 });
    const together = await Promise.all(
      Array.from({ length: 20 }, (_, i) => run(engine, { promptIds: prompt(i % 2, 50 + (i % 2)) })),
    );
    expect(await run(engine)).toEqual(alone);
    expect(together[1]).not.toEqual(together[0]);
    expect(engine.usedBlocks()).toBe(0);
  });

  it.each([
    ["greedy", {}],
    ["sampled", { sampling: sampled }],
  ])("goes on exactly where any resume starts (%s)", async (_, init) => {
    const whole = await run(createSimulatedEngine(), init);
    for (let cut = 0; cut < whole.length; cut += 3) {
      const rest = await run(createSimulatedEngine(), {
        ...init,
        outputIds: Uint32Array.from(whole.slice(0, cut)),
      });
      expect(rest).toEqual(whole.slice(cut));
    }
    const wrong = Uint32Array.from(whole.slice(0, 10));
    wrong[4] = wrong[4]! ^ 1;
    expect(await run(createSimulatedEngine(), { ...init, outputIds: wrong })).not.toEqual(whole.slice(10));
  });

  it("answers seed and choice when it samples, and neither when greedy", async () => {
    const engine = createSimulatedEngine();
    const base = await run(engine, { sampling: sampled });
    expect(await run(engine, { sampling: sampled })).toEqual(base);
    expect(await run(engine, { sampling: { ...sampled, seed: 8n } })).not.toEqual(base);
    expect(await run(engine, { sampling: sampled, choice: 1 })).not.toEqual(base);
    expect(await run(engine, { choice: 1 })).toEqual(await run(engine));
  });

  it("changes its text when cached KV is not what it should be", async () => {
    const engine = createSimulatedEngine();
    const good = await run(engine);
    const names = nameBlocks(prompt(1, 50), { blockTokens: 16 });
    expect(engine.corruptBlock(names[1]!)).toBe(true);
    expect(await run(engine)).not.toEqual(good);
  });

  it("reuses cached blocks and says how many prompt tokens it did not compute", async () => {
    const engine = createSimulatedEngine();
    expect((await batches(engine))[0]?.cachedTokens).toBe(0);
    expect(engine.estimate(request()).cachedTokens).toBe(48);
    expect((await batches(engine))[0]?.cachedTokens).toBe(48);
    expect((await batches(engine, { tenantSalt: "other" }))[0]?.cachedTokens).toBe(0);
  });

  it("evicts the least recently used blocks and tells of it", async () => {
    const engine = createSimulatedEngine({ kvBlocks: 16 });
    const held = new Set<bigint>();
    engine.onStatus(({ events = [] }) => {
      for (const event of events.flatMap((batch) => batch.events)) {
        if (event.type === "stored") for (const name of event.sequenceHashes) held.add(name);
        if (event.type === "removed")
          for (const name of event.sequenceHashes) expect(held.delete(name)).toBe(true);
      }
    });
    for (let i = 0; i < 12; i++) await run(engine, { promptIds: prompt(i, 80) });
    expect(held.size).toBeLessThanOrEqual(16);
    const snapshot = engine
      .snapshot()
      ?.events.flatMap((event) => (event.type === "stored" ? [...event.sequenceHashes] : []));
    expect(new Set(snapshot)).toEqual(held);
  });

  it("preempts when blocks run out, and every text stays what it was", async () => {
    const alone = await Promise.all(
      Array.from({ length: 6 }, (_, i) => run(createSimulatedEngine(), { promptIds: prompt(i, 40) })),
    );
    const engine = createSimulatedEngine({ kvBlocks: 16 });
    const crowded = await Promise.all(alone.map((_, i) => run(engine, { promptIds: prompt(i, 40) })));
    expect(crowded).toEqual(alone);
    expect(engine.usedBlocks()).toBe(0);
  });

  it("ends 100 concurrent streams with the texts of undisturbed runs, crowded, frozen and left by others", async () => {
    const inits = Array.from({ length: 100 }, (_, i): Partial<RequestInit> => ({
      id: `r${i}`,
      promptIds: prompt(i % 40, 20 + ((i * 7) % 90)),
      limits: { maxTokens: 20 + ((i * 13) % 60) },
      ...(i % 3 === 0 ? { sampling: { ...sampled, seed: BigInt(i) } } : {}),
    }));
    const alone: number[][] = [];
    for (const init of inits) alone.push(await run(createSimulatedEngine(), init));

    const engine = createSimulatedEngine({ kvBlocks: 128, maxRunning: 48, maxBatchedTokens: 128 });
    let steps = 0;
    engine.onStatus(() => {
      if (++steps !== 20) return;
      engine.freeze();
      setImmediate(() => engine.thaw());
    });
    const leaving = async (i: number): Promise<void> => {
      const init = { id: `leaves${i}`, promptIds: prompt(i, 60), limits: { maxTokens: 1000 } };
      let count = 0;
      for await (const { ids } of engine.generate(request(init), fresh()))
        if ((count += ids.length) > 5 + i) return;
    };
    const left = Array.from({ length: 20 }, (_, i) => leaving(i));
    const together = await Promise.all(inits.map((init) => run(engine, init)));
    await Promise.all(left);
    expect(together).toEqual(alone);
    expect(together.map(({ length }) => length)).toEqual(inits.map(({ limits }) => limits!.maxTokens));
    expect(steps).toBeGreaterThan(20);
    expect(engine.usedBlocks()).toBe(0);
  });

  it("hands KV over: the decode engine goes on as one engine would", async () => {
    const whole = await run(createSimulatedEngine());
    const transfer = createLoopback();
    const prefill = createSimulatedEngine({ transfer });
    const decode = createSimulatedEngine({ transfer });
    const [first] = await batches(prefill, { mode: "prefill" });
    expect(first?.ids).toEqual(whole.slice(0, 1));
    expect(first?.handoff?.heldTokens).toBe(48);
    const handoff = first!.handoff!;
    const rest = await batches(decode, { handoff, outputIds: Uint32Array.from(handoff.firstIds) });
    expect(rest[0]?.cachedTokens).toBe(48);
    expect(rest.flatMap(({ ids }) => [...ids])).toEqual(whole.slice(1));
    await expect(run(decode, { handoff })).rejects.toMatchObject({
      code: "ENGINES_HANDOFF_FAILED",
      kind: "unavailable",
    });
    expect(
      await run(createSimulatedEngine({ transfer, onHandoffFailure: "recompute" }), { handoff }),
    ).toEqual(whole.slice(1));
  });

  it("a forged handoff ends its own request only: decoding goes on, and so do real handoffs", async () => {
    const whole = await run(createSimulatedEngine());
    await using source = await createTransferEnds({ transports: [tcp()] });
    await using sink = await createTransferEnds({ transports: [tcp()] });
    const prefill = createSimulatedEngine({ transfer: source });
    const decode = createSimulatedEngine({ transfer: sink });
    const [first] = await batches(prefill, { mode: "prefill" });
    const handoff = first!.handoff!;
    const { opaque } = handoff;
    const bent = Uint8Array.from(opaque, (byte, at) => (at === opaque.length >> 1 ? byte ^ 1 : byte));
    const forged: readonly Handoff[] = [
      ...[new Uint8Array(0), opaque.subarray(0, 40), bent, new Uint8Array(4_096).fill(0xff)].map((bytes) => ({
        ...handoff,
        opaque: bytes,
      })),
      { ...handoff, connector: "unknown" },
      { ...handoff, compatibilityDigest: "unknown" },
    ];
    const outputIds = Uint32Array.from(handoff.firstIds);
    const other = { promptIds: prompt(2, 50), limits: { maxTokens: 400 } };
    const beside = run(decode, other);
    for (const forgery of forged)
      await expect(run(decode, { handoff: forgery, outputIds })).rejects.toThrow();
    // A wrong count beside true blocks can only be told by the blocks: then they are what counts.
    expect(await run(decode, { handoff: { ...handoff, heldTokens: 4_096 }, outputIds })).toEqual(
      whole.slice(1),
    );
    expect(await beside).toEqual(await run(createSimulatedEngine(), other));
    const after = createSimulatedEngine({ transfer: sink });
    const [next] = await batches(prefill, { mode: "prefill" });
    expect(await run(after, { handoff: next!.handoff!, outputIds })).toEqual(whole.slice(1));
    expect(decode.usedBlocks()).toBe(0);
  });

  it("fails what runs on a crash, refuses more, and comes back empty with a new epoch", async () => {
    const engine = createSimulatedEngine({ stepTime: () => 1 });
    const running = run(engine);
    engine.crash();
    await expect(running).rejects.toMatchObject({ code: "ENGINES_CRASHED", kind: "unavailable" });
    await expect(run(engine)).rejects.toMatchObject({ kind: "unavailable" });
    engine.restart();
    expect(engine.snapshot()).toMatchObject({ epoch: "0.1", events: [] });
    expect(await run(engine)).toEqual(await run(createSimulatedEngine()));
  });

  it("stands still while frozen and goes on unharmed", async () => {
    const engine = createSimulatedEngine();
    const steps: number[] = [];
    engine.onStatus(({ step }) => steps.push(step));
    engine.freeze();
    const running = run(engine);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(steps.filter((step) => step > 0)).toEqual([]);
    engine.thaw();
    expect(await running).toEqual(await run(createSimulatedEngine()));
  });

  it("dies of a poisoned id only", async () => {
    const engine = createSimulatedEngine();
    engine.poison(999);
    expect(await run(engine)).toHaveLength(40);
    await expect(run(engine, { promptIds: Uint32Array.of(5, 999, 6) })).rejects.toMatchObject({
      code: "ENGINES_CRASHED",
    });
  });

  it("stops at once on abort and frees its blocks", async () => {
    const engine = createSimulatedEngine();
    const controller = new AbortController();
    const pulled: number[] = [];
    const pull = async (): Promise<void> => {
      for await (const { ids } of engine.generate(request({ limits: { maxTokens: 10_000 } }), {
        signal: controller.signal,
      })) {
        pulled.push(...ids);
        if (pulled.length >= 5) controller.abort(new Error("gone"));
      }
    };
    await expect(pull()).rejects.toMatchObject({ kind: "cancelled" });
    for await (const { ids } of engine.generate(request({ limits: { maxTokens: 10_000 } }), fresh()))
      if (ids.length > 0) break;
    expect(engine.usedBlocks()).toBe(0);
  });

  it("ends by end id, by stop id, not before min tokens, and never under ignore_eos", async () => {
    const engine = createSimulatedEngine({ endProbability: 0.2 });
    const plain = await batches(engine, { limits: { maxTokens: 400 } });
    expect(plain.at(-1)?.finish).toMatchObject({ reason: "stop", stopId: 258 });
    const later = await collectIds(engine, request({ limits: { maxTokens: 400, minTokens: 100 } }));
    expect(later.length).toBeGreaterThan(100);
    expect(await run(engine, { limits: { maxTokens: 400, ignoreEos: true } })).toHaveLength(400);
    const ids = await run(createSimulatedEngine());
    const stopped = await run(createSimulatedEngine(), { limits: { maxTokens: 40, stopIds: [ids[20]!] } });
    expect(stopped).toEqual(ids.slice(0, ids.indexOf(ids[20]!) + 1));
  });

  it("obeys logit bias and reports log probabilities", async () => {
    const engine = createSimulatedEngine();
    const forced = await run(engine, {
      sampling: { ...sampled, temperature: 0, logitBias: new Map([[70, 100]]) },
    });
    expect(new Set(forced)).toEqual(new Set([70]));
    const [first] = await batches(engine, { topLogprobs: 3, limits: { maxTokens: 1 } });
    expect(first?.logprobs?.[0]?.top).toHaveLength(3);
    expect(first?.logprobs?.[0]?.logprob).toBe(first?.logprobs?.[0]?.top[0]?.logprob);
  });

  it("refuses what cannot fit, with a reason", async () => {
    const engine = createSimulatedEngine({ contextTokens: 64 });
    await expect(run(engine, { promptIds: prompt(1, 64) })).rejects.toMatchObject({
      code: "ENGINES_CONTEXT_EXCEEDED",
      kind: "invalid",
    });
    await expect(run(engine, { promptIds: new Uint32Array(0) })).rejects.toMatchObject({
      code: "ENGINES_PROMPT_INVALID",
    });
    expect(await run(engine, { promptIds: prompt(1, 60) })).toHaveLength(4);
    expect(() => createSimulatedEngine({ blockTokens: 0 })).toThrow(/blockTokens is 0/);
  });
});

import { describe, expect, test } from "vitest";
import { collectIds } from "./collect-ids.ts";
import { createRequest } from "./request.ts";
import { defineEngine } from "./define-engine.ts";
import type { Engine } from "./engine.ts";
import type { TokenBatch } from "./token-batch.ts";
import { wrapEngine } from "./wrap-engine.ts";

const tokenizer = { json: "{}", digest: "d", specialIds: { eos: [0] } };
const counting = (ids: readonly number[]): Engine =>
  defineEngine({ model: "m", contextTokens: 100, tokenizer }, async function* () {
    yield { ids };
  });
const request = createRequest({
  id: "1",
  model: "m",
  promptIds: Uint32Array.of(1),
  limits: { maxTokens: 4 },
});
const signal = new AbortController().signal;

async function batches(engine: Engine, r = request): Promise<TokenBatch[]> {
  const all: TokenBatch[] = [];
  for await (const batch of engine.generate(r, { signal })) all.push(batch);
  return all;
}

describe("defineEngine", () => {
  test("cuts at the token budget and says length", async () => {
    const all = await batches(counting([5, 6, 7, 8, 9]));
    expect(all).toEqual([{ firstIndex: 0, ids: [5, 6, 7, 8], finish: { reason: "length" } }]);
  });

  test("ends at an end id and says which", async () => {
    const [batch] = await batches(counting([5, 0, 7]));
    expect(batch).toEqual({ firstIndex: 0, ids: [5, 0], finish: { reason: "stop", stopId: 0 } });
  });

  test("goes on over end ids under ignore_eos, and before min_tokens", async () => {
    expect(
      await collectIds(counting([5, 0, 7, 8]), { ...request, limits: { maxTokens: 4, ignoreEos: true } }),
    ).toEqual([5, 0, 7, 8]);
    expect(
      await collectIds(counting([0, 0, 7]), { ...request, limits: { maxTokens: 4, minTokens: 2 } }),
    ).toEqual([0, 0]);
  });

  test("counts on from the output that a resumed request brings", async () => {
    const [batch] = await batches(counting([5, 6, 7]), { ...request, outputIds: Uint32Array.of(9, 9) });
    expect(batch).toEqual({ firstIndex: 2, ids: [5, 6], finish: { reason: "length" } });
  });

  test("an aborted signal is the only way to end as cancelled", async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(collectIds(counting([1]), request, { signal: controller.signal })).rejects.toMatchObject({
      kind: "cancelled",
    });
  });

  test("serves its tokenizer by digest and nothing else", async () => {
    const engine = counting([]);
    expect(new TextDecoder().decode(await engine.artifact?.("d", { signal }))).toBe("{}");
    await expect(engine.artifact?.("x", { signal })).rejects.toThrow("no artefact x");
  });
});

describe("wrapEngine", () => {
  test("forwards every optional member and keeps the card live", () => {
    const inner = { ...counting([1]), estimate: () => ({ cachedTokens: 1, queueMs: 2, prefillMs: 3 }) };
    const wrapped = wrapEngine(inner, { generate: (r, o) => inner.generate(r, o) });
    expect(wrapped.estimate?.(request)).toEqual({ cachedTokens: 1, queueMs: 2, prefillMs: 3 });
    expect(wrapped.artifact).toBeDefined();
    expect(wrapped.snapshot).toBeUndefined();
    expect(wrapped.card?.model).toBe("m");
  });
});

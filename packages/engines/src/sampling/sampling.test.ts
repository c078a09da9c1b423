import { createRequest, greedy, type Sampling } from "@stator/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createCounterRandom, philox } from "./counter-random.ts";
import { createSampler } from "./sampler.ts";

const base: Sampling = { ...greedy, temperature: 1, seed: 42n };
const make = (sampling: Partial<Sampling>, more: Partial<Parameters<typeof createRequest>[0]> = {}) =>
  createSampler({
    request: createRequest({
      id: "r",
      model: "m",
      promptIds: Uint32Array.of(1, 2),
      sampling: { ...base, ...sampling },
      ...more,
    }),
    endIds: [0],
  });
const logits = (values: number[]) => ({ values, count: values.length });
const drawMany = (sampling: Partial<Sampling>, values: number[], count: number): number[] => {
  const sampler = make(sampling);
  return Array.from({ length: count }, () => sampler.next(logits(values)).id);
};

describe("philox", () => {
  // Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("gives the known answer for counter %j", (counter, key, answer) => {
    expect(philox(counter, key)).toEqual(answer);
  });

  it("is uniform in [0, 1) and different for each choice, index and half of the seed", () => {
    const random = createCounterRandom(5n, 0);
    const draws = Array.from({ length: 20_000 }, (_, i) => random(i));
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    expect(draws.reduce((a, b) => a + b) / draws.length).toBeCloseTo(0.5, 1);
    const others = [createCounterRandom(5n, 1)(0), createCounterRandom(5n + (1n << 40n), 0)(0), random(1)];
    expect(new Set([random(0), ...others]).size).toBe(4);
  });
});

describe("createSampler", () => {
  it("draws in proportion to the softmax", () => {
    const drawn = drawMany({}, [-Infinity, 0, Math.log(3)], 20_000);
    expect(drawn.filter((id) => id === 2).length / drawn.length).toBeCloseTo(0.75, 1);
    expect(drawn).not.toContain(0);
  });

  it("keeps only what top_k, top_p and min_p leave", () => {
    const values = [1, 5, 4.9, 3, 0.5].map((x) => x);
    expect(new Set(drawMany({ topK: 2, temperature: 2 }, values, 400))).toEqual(new Set([1, 2]));
    expect(new Set(drawMany({ topP: 0.5 }, [0, 9, 1, 1], 200))).toEqual(new Set([1]));
    expect(new Set(drawMany({ minP: 0.5, temperature: 1 }, values, 400))).toEqual(new Set([1, 2]));
    expect(new Set(drawMany({ topK: 1 }, values, 20))).toEqual(new Set([1]));
  });

  it("keeps the same of few and of many candidates", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 3, maxLength: 12 }),
        fc.integer({ min: 0, max: 5 }),
        (values, topK) => {
          const many = [...values, ...Array.from({ length: 90 }, () => -Infinity)];
          const sampling = { topK, topP: 0.8, temperature: 1.3 };
          expect(drawMany(sampling, many, 30)).toEqual(drawMany(sampling, values, 30));
        },
      ),
    );
  });

  it("is greedy at temperature 0, the first of equals winning", () => {
    expect(drawMany({ temperature: 0 }, [1, 3, 3, 2], 5)).toEqual([1, 1, 1, 1, 1]);
    expect(make({ temperature: 0 }).isPlainGreedy).toBe(true);
    expect(make({ temperature: 0, presencePenalty: 1 }).isPlainGreedy).toBe(false);
  });

  it("counts output only for presence and frequency penalties, prompt too for the repetition penalty", () => {
    const sampler = make({ temperature: 0, presencePenalty: 0.6 }, { outputIds: Uint32Array.of(3) });
    expect(sampler.next(logits([0, 1, 0.9, 1.2])).id).toBe(1);
    expect(sampler.next(logits([0, 1, 0.9, 1.2])).id).toBe(2);
    expect(make({ temperature: 0, repetitionPenalty: 2 }).next(logits([0, 1, 0.9, 0.8])).id).toBe(3);
  });

  it("bans end ids before min tokens and under ignore_eos", () => {
    const early = make({ temperature: 0 }, { limits: { maxTokens: 9, minTokens: 2 } });
    expect([0, 1, 2].map(() => early.next(logits([9, 1])).id)).toEqual([1, 1, 0]);
    expect(
      make({ temperature: 0 }, { limits: { maxTokens: 9, ignoreEos: true } }).next(logits([9, 1])).id,
    ).toBe(1);
  });

  it("reports log probabilities of the raw logits, best first", () => {
    const sampler = make({ temperature: 0, logitBias: new Map([[0, 100]]) }, { topLogprobs: 2 });
    const { id, logprob } = sampler.next(logits([0, Math.log(3), -Infinity]));
    expect(id).toBe(0);
    expect(logprob?.logprob).toBeCloseTo(Math.log(0.25));
    expect(logprob?.top.map((top) => top.id)).toEqual([1, 0]);
  });

  it("goes on after any output as if it had never stopped", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.nat(3),
        fc.integer({ min: 0, max: 19 }),
        (seed, choice, cut) => {
          const sampling = {
            seed,
            temperature: 0.9,
            topP: 0.9,
            topK: 5,
            frequencyPenalty: 0.4,
            presencePenalty: 0.2,
          };
          const rows = Array.from({ length: 20 }, (_, i) =>
            logits(Array.from({ length: 8 }, (__, j) => Math.sin(i * 8 + j) * 3)),
          );
          const whole = make(sampling, { choice });
          const ids = rows.map((row) => whole.next(row).id);
          const resumed = make(sampling, { choice, outputIds: Uint32Array.from(ids.slice(0, cut)) });
          expect(rows.slice(cut).map((row) => resumed.next(row).id)).toEqual(ids.slice(cut));
        },
      ),
    );
  });
});

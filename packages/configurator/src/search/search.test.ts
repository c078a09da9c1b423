import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLayout } from "@stator/core";
import { paretoFront } from "./pareto.ts";
import { search } from "./search.ts";
import type { SearchOptions } from "./search.ts";

const base: SearchOptions = {
  confirm: 0,
  model: "Qwen/Qwen3-32B",
  system: "h200",
  backend: "vllm",
  gpus: 8,
  inputTokens: 3000,
  outputTokens: 300,
};

describe("search", () => {
  test("returns layouts best first, all within the limits and the budget, each with a valid deployment and a reason", () => {
    const { layouts, limits } = search({ ...base, ttftMs: 1500, tpotMs: 25 });
    expect(layouts.length).toBe(5);
    for (const [index, found] of layouts.entries()) {
      expect(found.tokensPerSecondPerGpu).toBeLessThanOrEqual(
        layouts[index - 1]?.tokensPerSecondPerGpu ?? Infinity,
      );
      expect(found.ttftMs).toBeLessThanOrEqual(limits.ttftMs ?? 0);
      expect(found.tpotMs).toBeLessThanOrEqual(limits.tpotMs ?? 0);
      expect(found.gpusUsed).toBeLessThanOrEqual(8);
      expect(found.ttftRangeMs[0]).toBeLessThan(found.ttftMs);
      expect(found.reason).toMatch(/throughput|layout/);
      expect(parseLayout(JSON.parse(JSON.stringify(found.layout)))).toEqual(found.layout);
    }
  });

  test("leaves no GPU idle through rounding: 7 GPUs are all used by a model that fits one", () => {
    const { layouts } = search({ ...base, gpus: 7, tpotMs: 60 });
    expect(layouts[0]?.gpusUsed).toBe(7);
    const agg = search({ ...base, gpus: 7, tpotMs: 40, modes: ["agg"] });
    expect(agg.layouts[0]?.gpusUsed).toBe(7);
  });

  test("never promises less throughput per budget for a wider limit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 14, max: 40 }), fc.constantFrom(4, 8, 12), (tpotMs, gpus) => {
        const tight = search({ ...base, gpus, tpotMs, modes: ["agg"] }).layouts[0];
        const wide = search({ ...base, gpus, tpotMs: tpotMs * 2, modes: ["agg"] }).layouts[0];
        expect(wide?.tokensPerSecondPerGpu).toBeGreaterThanOrEqual(tight?.tokensPerSecondPerGpu ?? 0);
      }),
      { numRuns: 10 },
    );
  });

  test.each([
    [{ gpus: 2, model: "deepseek-ai/DeepSeek-R1" }, /8 GPUs of h200 would fit/],
    [{ ttftMs: 1 }, /Lowest each on its own: TTFT \d/],
    [{ ttftMs: -5 }, /ttftMs is -5/],
    [{ gpus: 1.5 }, /gpus is 1.5/],
    [{ inputTokens: 60000 }, /made for 40960 tokens/],
    [{ prefixTokens: 3000 }, /below inputTokens/],
    [{ model: "Qwen/Qwen3-33B" }, /Nearest: Qwen\/Qwen3-32B/],
    [{ system: "h300" }, /Known: a100/],
    [{ system: "a100", quantization: "fp8" }, /which a100 lacks/],
  ])("refuses %j and says what is wrong and what would do", (wrong, message) => {
    expect(() => search({ ...base, ...wrong })).toThrow(message);
  });

  test("confirms the best by stepping through it", () => {
    const [first, second] = search({ ...base, confirm: 1 }).layouts;
    expect(first?.simulated?.tpotMs.p99).toBeGreaterThan(0);
    expect(second?.simulated).toBeUndefined();
  });

  test("a cached prefix makes first tokens faster", () => {
    const cold = search({ ...base, modes: ["agg"] }).pareto[0];
    const warm = search({ ...base, prefixTokens: 2500, modes: ["agg"] }).pareto[0];
    expect(warm?.ttftMs).toBeLessThan(cold?.ttftMs ?? 0);
  });
});

test("a Pareto front has no point that another beats in both figures", () => {
  const point = fc.record({
    tokensPerSecondPerUser: fc.integer({ min: 1, max: 50 }),
    tokensPerSecondPerGpu: fc.integer({ min: 1, max: 50 }),
  });
  fc.assert(
    fc.property(fc.array(point, { minLength: 1 }), (points) => {
      const front = paretoFront(points);
      for (const a of front)
        expect(
          points.some(
            (b) =>
              b.tokensPerSecondPerUser >= a.tokensPerSecondPerUser &&
              b.tokensPerSecondPerGpu > a.tokensPerSecondPerGpu,
          ),
        ).toBe(false);
      for (const b of points)
        expect(
          front.some(
            (a) =>
              a.tokensPerSecondPerUser >= b.tokensPerSecondPerUser &&
              a.tokensPerSecondPerGpu >= b.tokensPerSecondPerGpu,
          ),
        ).toBe(true);
    }),
  );
});

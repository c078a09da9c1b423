import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { findModel, modelNames } from "./models/find-model.ts";
import { parameterCount } from "./models/model-spec.ts";
import { parallelism } from "./split/parallelism.ts";
import { namedQuantization } from "./split/quantization.ts";
import { stepBreakdown, stepTime } from "./step-time.ts";
import { findSystem, systemFromYaml } from "./systems/system-spec.ts";

const model = findModel("Qwen/Qwen3-32B");
const system = findSystem("h200");
const quantization = namedQuantization("bf16", model, system);
const base = { model, system, quantization, parallelism: parallelism({ tensor: 4 }) };

describe("stepTime", () => {
  test("agrees within 15 % with a published static estimate from measured tables (Qwen3-32B, H200, TP4, 32 × 4096)", () => {
    const prefill = stepTime({
      ...base,
      batch: { prefill: [{ sequences: 32, newTokens: 4096, pastTokens: 0 }] },
    });
    const decode = stepTime({ ...base, batch: { decode: { sequences: 32, contextTokens: 4096 + 512 } } });
    expect(Math.abs(prefill / 3900.357 - 1)).toBeLessThan(0.15);
    expect(Math.abs(decode / 10.97 - 1)).toBeLessThan(0.15);
  });

  test("grows with every count of the batch", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 512 }),
        fc.integer({ min: 1, max: 30000 }),
        (sequences, contextTokens) => {
          const at = stepTime({ ...base, batch: { decode: { sequences, contextTokens } } });
          expect(
            stepTime({ ...base, batch: { decode: { sequences: sequences * 2, contextTokens } } }),
          ).toBeGreaterThanOrEqual(at);
          expect(
            stepTime({ ...base, batch: { decode: { sequences, contextTokens: contextTokens * 2 } } }),
          ).toBeGreaterThanOrEqual(at);
        },
      ),
    );
  });

  test("is the sum of its breakdown", () => {
    const batch = {
      prefill: [{ sequences: 1, newTokens: 2048, pastTokens: 1024 }],
      decode: { sequences: 20, contextTokens: 900 },
    };
    const { ms, operations } = stepBreakdown({ ...base, batch, backend: "vllm" });
    expect(operations.reduce((sum, operation) => sum + operation.ms, 0)).toBeCloseTo(ms, 9);
    expect(stepTime({ ...base, batch, backend: "vllm" })).toBeCloseTo(ms, 9);
  });

  test("is nothing for an empty batch and refuses a nonsense one", () => {
    expect(stepTime({ ...base, batch: {}, backend: "vllm" })).toBe(0);
    expect(() =>
      stepTime({ ...base, batch: { decode: { sequences: Number.NaN, contextTokens: 1 } } }),
    ).toThrow(/finite and not negative/);
  });

  test("reads no model name", () => {
    const batch = { decode: { sequences: 8, contextTokens: 1000 } };
    expect(stepTime({ ...base, model: { ...model, name: "anything" }, batch })).toBe(
      stepTime({ ...base, batch }),
    );
  });
});

test.each([
  ["meta-llama/Llama-3.1-70B-Instruct", 70.6, 70.6],
  ["nvidia/Llama-3.1-8B-Instruct-FP8", 8.03, 8.03],
  ["openai/gpt-oss-120b", 117, 5.7],
  ["deepseek-ai/DeepSeek-R1-0528", 671, 37.6],
  ["moonshotai/Kimi-K2-Instruct", 1026, 33],
  ["meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", 400, 17.2],
  ["mistralai/Mixtral-8x7B-Instruct-v0.1", 46.7, 12.9],
  ["MiniMaxAI/MiniMax-M2", 229, 11],
  ["zai-org/GLM-4.5-FP8", 353, 33.6],
])("%s has its published parameter count", (name, total, active) => {
  const count = parameterCount(findModel(name));
  expect(count.total / 1e9 / total).toBeCloseTo(1, 1);
  expect(count.active / 1e9 / active).toBeCloseTo(1, 1);
});

test("an unknown model's error names the nearest known ones", () => {
  expect(() => findModel("Qwen/Qwen3-33B")).toThrow(/Qwen\/Qwen3-32B/);
  expect(modelNames().length).toBeGreaterThan(30);
});

test("a user's system is a YAML record that may extend a built-in one", () => {
  const own = systemFromYaml(
    "extends: h200\nname: h200-nvl\nnvlinkDomain: 4\nmemoryBytesPerSecond: 4.8e12\n",
  );
  expect(own.nvlinkDomain).toBe(4);
  expect(() => systemFromYaml("name: x\nmemoryBytes: -1")).toThrow(/memoryBytes/);
});

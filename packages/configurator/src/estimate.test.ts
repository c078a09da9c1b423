import { describe, expect, test } from "vitest";
import { compare } from "./compare.ts";
import type { EstimateOptions } from "./estimate.ts";
import { estimate } from "./estimate.ts";
import { recommend } from "./recommend.ts";
import { support } from "./support.ts";

const base: EstimateOptions = {
  model: "Qwen/Qwen3-32B",
  system: "h200",
  backend: "trtllm",
  quantization: "bf16",
  inputTokens: 2048,
  outputTokens: 512,
  batch: 64,
  parallelism: { tensor: 2 },
};

describe("estimate", () => {
  test("agrees within 15 % on time per token and throughput with a published table-based estimate (Qwen3-32B, H200, TP2, batch 64)", () => {
    const { tpotMs, tokensPerSecondPerGpu } = estimate(base);
    expect(Math.abs(tpotMs / 29.118 - 1)).toBeLessThan(0.15);
    expect(Math.abs(tokensPerSecondPerGpu / 1076.69 - 1)).toBeLessThan(0.15);
  });

  test("accounts for every millisecond of a step and every byte of a GPU", () => {
    const { decodeStep, memory } = estimate(base);
    expect(decodeStep.operations.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(decodeStep.ms, 9);
    expect(
      memory.weightBytes + memory.activationBytes + memory.runtimeBytes + memory.kvUsedBytes,
    ).toBeLessThan(memory.totalBytes);
  });

  test("static batching has no queue: its first token takes one prefill of the whole batch", () => {
    const found = estimate({ ...base, mode: "static", batch: 8 });
    expect(found.ttftMs).toBeCloseTo(found.prefillStep.ms, 6);
  });

  test("more load than the KV cache holds is saturated and waits", () => {
    const at = estimate({ ...base, batch: 4000 });
    expect(at.isSaturated).toBe(true);
    expect(at.ttftMs).toBeGreaterThan(estimate({ ...base, batch: 200 }).ttftMs);
    expect(() => estimate({ ...base, batch: 4000, mode: "static" })).toThrow(/KV cache holds/);
  });

  test("disaggregated decode is not disturbed by prefill, and KV moves take time", () => {
    const split = estimate({
      ...base,
      mode: "disagg",
      batch: 64,
      prefillWorkers: 4,
      prefillParallelism: { tensor: 2 },
    });
    expect(split.tpotMs).toBeLessThan(estimate(base).tpotMs);
    expect(split.transferMs).toBeGreaterThan(1);
    expect(split.gpus).toBe(10);
  });

  test("a burst waits longest, random arrivals least: later tokens are stalled less in a burst, whose prefills are mostly over", () => {
    const [closed, poisson, burst] = (["closed", "poisson", "burst"] as const).map((arrival) =>
      estimate({ ...base, arrival }),
    );
    expect(burst?.ttftMs).toBeGreaterThan(closed?.ttftMs ?? Infinity);
    expect(poisson?.ttftMs).toBeLessThan(closed?.ttftMs ?? 0);
    expect(poisson?.tpotMs).toBe(closed?.tpotMs);
    expect(burst?.tpotMs).toBeLessThan(closed?.tpotMs ?? 0);
  });

  test("refuses a split that heads or experts do not divide by", () => {
    expect(() => estimate({ ...base, parallelism: { tensor: 3 } })).toThrow(/do not divide by tensor 3/);
  });
});

test("recommend finds the fewest GPUs: one fewer would not serve the load", () => {
  const options = {
    model: "Qwen/Qwen3-8B",
    system: "h100",
    backend: "vllm",
    inputTokens: 1000,
    outputTokens: 200,
    requestRate: 60,
  } as const;
  const { gpus, layout, utilization } = recommend(options);
  expect(layout.requestsPerSecond).toBeGreaterThanOrEqual(60);
  expect(utilization).toBeLessThanOrEqual(1);
  expect(() => recommend({ ...options, maxGpus: gpus - 1 })).toThrow();
  expect(() => recommend({ ...options, concurrency: 10 })).toThrow(/exactly one/);
});

test("compare sets estimates against the first", () => {
  const { againstFirst } = compare({ two: base, four: { ...base, parallelism: { tensor: 4 } } });
  expect(againstFirst[0]?.tpotMs).toBe(1);
  expect(againstFirst[1]?.tpotMs).toBeLessThan(1);
});

test("support says for each model, system and engine what fits, and why not", () => {
  const rows = support({ model: "deepseek-ai/DeepSeek-R1" });
  expect(rows.find((row) => row.system === "h200" && row.backend === "sglang")).toMatchObject({
    isSupported: true,
    smallestGpus: 8,
    calibration: "fitted",
  });
  expect(rows.some((row) => row.system === "l40s" && row.calibration === "transferred")).toBe(true);
});

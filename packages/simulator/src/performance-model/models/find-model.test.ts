import { describe, expect, test } from "vitest";
import { findModel } from "./find-model.ts";
import { layerCount, parameterCount } from "./model-spec.ts";

describe("findModel", () => {
  test.each([
    ["openai/gpt-oss-120b", 36],
    ["nvidia/DeepSeek-R1-0528-NVFP4-v2", 61],
    ["deepseek-ai/DeepSeek-V3.1-Terminus", 61],
    ["deepseek-ai/DeepSeek-R1-Distill-Llama-70B", 80],
    ["nvidia/Llama-3.3-70B-Instruct-FP8", 80],
    ["meta-llama/Meta-Llama-3-70B", 80],
    ["LLAMA3.1_70B", 80],
    ["nvidia/Llama-4-Maverick-17B-128E-Instruct-FP8", 48],
    ["Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", 94],
    ["QWEN3_235B", 94],
    ["mistralai/Mixtral-8x7B-Instruct-v0.1", 32],
    ["MOE_Mixtral8x7B", 32],
    ["zai-org/GLM-4.7", 92],
    ["nvidia/GLM-5-NVFP4", 78],
    ["moonshotai/Kimi-K2-Instruct-0905", 61],
    ["nvidia/Kimi-K2.5-NVFP4", 61],
    ["MiniMaxAI/MiniMax-M2.7", 62],
    ["nvidia/DeepSeek-V4-Pro-NVFP4", 61],
    ["stepfun-ai/Step-3.7-Flash-FP8", 45],
    ["XiaomiMiMo/MiMo-V2-Flash", 48],
    ["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-FP8", 52],
    ["nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4", 88],
    ["nvidia/Llama-3_3-Nemotron-Super-49B-v1-FP8", 80],
    ["nvidia/Llama-3_1-Nemotron-Ultra-253B-v1-FP8", 162],
  ])("%s is a checkpoint of %d layers", (name, layers) => {
    expect(layerCount(findModel(name))).toBe(layers);
  });

  // Totals and active counts as published, in billions; embeddings count twice where they are not tied.
  test.each([
    ["meta-llama/Llama-3.1-70B", 70.6, 70.6],
    ["Qwen/Qwen3-235B-A22B", 235, 22],
    ["deepseek-ai/DeepSeek-V3", 671, 37],
    ["moonshotai/Kimi-K2", 1026, 32],
    ["openai/gpt-oss-120b", 117, 5.7],
    ["nvidia/Llama-3_3-Nemotron-Super-49B-v1", 49.9, 49.9],
    ["nvidia/Llama-3_1-Nemotron-Ultra-253B-v1", 253, 253],
    ["XiaomiMiMo/MiMo-V2-Flash", 309, 15],
    ["stepfun-ai/Step-3.7-Flash", 196, 11],
    ["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B", 31.6, 3.6],
    ["nvidia/NVIDIA-Nemotron-3-Super-120B-A12B", 120, 12],
    ["deepseek-ai/DeepSeek-V4-Flash", 284, 13],
    ["deepseek-ai/DeepSeek-V4-Pro", 1600, 49],
  ])("%s has about %d billion parameters, %d of them active", (name, total, active) => {
    const count = parameterCount(findModel(name));
    expect(Math.abs(count.total / 1e9 / total - 1)).toBeLessThan(0.06);
    expect(Math.abs(count.active / 1e9 / active - 1)).toBeLessThan(0.15);
  });

  test("a short name that several models begin with is none of them", () => {
    expect(() => findModel("llama")).toThrow(expect.objectContaining({ code: "SIMULATOR_MODEL_UNKNOWN" }));
  });
});

import { describe, expect, test } from "vitest";
import { findModel } from "./find-model.ts";
import { layerCount } from "./model-spec.ts";

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
  ])("%s is a checkpoint of %d layers", (name, layers) => {
    expect(layerCount(findModel(name))).toBe(layers);
  });

  test("a short name that several models begin with is none of them", () => {
    expect(() => findModel("llama")).toThrow(expect.objectContaining({ code: "SIMULATOR_MODEL_UNKNOWN" }));
  });
});

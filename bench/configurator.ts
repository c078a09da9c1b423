// How long the configurator takes: a search with and without stepping through the best layout, one estimate, one step time.
import { cpus } from "node:os";
import { estimate, search, type SearchOptions } from "@stator/configurator";
import {
  findModel,
  findSystem,
  namedQuantization,
  parallelism,
  stepTime,
} from "@stator/simulator/performance-model";

const questions: readonly SearchOptions[] = [
  {
    model: "Qwen/Qwen3-32B",
    system: "h200",
    backend: "vllm",
    gpus: 16,
    inputTokens: 8192,
    outputTokens: 1024,
  },
  {
    model: "openai/gpt-oss-120b",
    system: "b200",
    backend: "trtllm",
    gpus: 8,
    inputTokens: 8192,
    outputTokens: 1024,
  },
  {
    model: "deepseek-ai/DeepSeek-R1",
    system: "gb200",
    backend: "trtllm",
    quantization: "nvfp4",
    gpus: 72,
    inputTokens: 8192,
    outputTokens: 1024,
  },
];

function medianMs(run: () => void, times: number): number {
  const all = Array.from({ length: times }, () => {
    const from = performance.now();
    run();
    return performance.now() - from;
  }).sort((a, b) => a - b);
  return Number((all[times >> 1] ?? 0).toFixed(3));
}

export async function run(): Promise<unknown> {
  const searches = questions.map((question) => ({
    model: question.model,
    gpus: question.gpus,
    considered: search({ ...question, confirm: 0 }).considered,
    searchMs: medianMs(() => search({ ...question, confirm: 0 }), 7),
    withSimulationMs: medianMs(() => search({ ...question, confirm: 1 }), 5),
  }));
  const model = findModel("Qwen/Qwen3-32B");
  const system = findSystem("h200");
  const step = {
    model,
    system,
    quantization: namedQuantization("bf16", model, system),
    parallelism: parallelism({ tensor: 4 }),
    batch: { decode: { sequences: 64, contextTokens: 2000 } },
    backend: "vllm",
  } as const;
  return {
    machine: { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version },
    date: new Date().toISOString().slice(0, 10),
    searches,
    estimateMs: medianMs(
      () =>
        estimate({
          model: "Qwen/Qwen3-32B",
          system: "h200",
          backend: "vllm",
          inputTokens: 2000,
          outputTokens: 500,
          batch: 64,
          parallelism: { tensor: 4 },
        }),
      51,
    ),
    stepTimeUs: Number(
      medianMs(() => {
        for (let at = 0; at < 1000; at++) stepTime(step);
      }, 11).toFixed(2),
    ),
  };
}

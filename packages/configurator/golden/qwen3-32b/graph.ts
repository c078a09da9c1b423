// h200: 4 × worker of 2 GPUs (TP2)
import type { Engine } from "@stator/core";
import { createPool, migrating } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const workers = createPool({ workers: runtime.workers({ model: "Qwen/Qwen3-32B-FP8" }) });
  return { "Qwen/Qwen3-32B-FP8": migrating(workers) };
};

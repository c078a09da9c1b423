// h200: 4 × worker of 2 GPUs (TP2)
import { createPool, migrating } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime) => {
  const workers = createPool({ workers: runtime.workers({ model: "Qwen/Qwen3-32B-FP8" }) });
  return { "Qwen/Qwen3-32B-FP8": migrating(workers) };
};

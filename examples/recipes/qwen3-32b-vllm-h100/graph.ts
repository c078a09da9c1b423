// h100: 2 × prefill of 2 GPUs (TP2), 2 × decode of 2 GPUs (TP2)
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "Qwen/Qwen3-32B-FP8", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "Qwen/Qwen3-32B-FP8", role: "decode" }) });
  return { "Qwen/Qwen3-32B-FP8": migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};

// gb200: 2 × prefill of 4 GPUs (TP4·EP4), 2 × decode of 4 GPUs (TP4·EP4)
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", role: "decode" }) });
  return { "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8": migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};

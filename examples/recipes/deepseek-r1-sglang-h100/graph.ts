// h100: 1 × prefill of 32 GPUs (DP32·EP32), 1 × decode of 72 GPUs (DP72·EP72)
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "deepseek-ai/DeepSeek-R1", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "deepseek-ai/DeepSeek-R1", role: "decode" }) });
  return { "deepseek-ai/DeepSeek-R1": migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};

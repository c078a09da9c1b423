// b200: 1 × prefill of 4 GPUs (TP4·EP4), 1 × decode of 4 GPUs (DP4·EP4)
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "openai/gpt-oss-120b", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "openai/gpt-oss-120b", role: "decode" }) });
  return { "openai/gpt-oss-120b": migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};

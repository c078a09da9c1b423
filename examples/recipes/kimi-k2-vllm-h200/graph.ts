// h200: 1 × prefill of 8 GPUs (TP8), 1 × decode of 8 GPUs (TP8)
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "moonshotai/Kimi-K2-Thinking", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "moonshotai/Kimi-K2-Thinking", role: "decode" }) });
  return { "moonshotai/Kimi-K2-Thinking": migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};

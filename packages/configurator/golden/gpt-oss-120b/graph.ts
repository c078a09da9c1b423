// b200: 1 × prefill of 4 GPUs (TP4·EP4), 1 × decode of 4 GPUs (DP4·EP4)
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime) => {
  const prefill = createPool({ workers: runtime.workers({ model: "openai/gpt-oss-120b", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "openai/gpt-oss-120b", role: "decode" }) });
  return { "openai/gpt-oss-120b": migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};

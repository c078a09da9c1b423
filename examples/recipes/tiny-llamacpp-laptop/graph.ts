// A laptop, with llama.cpp
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "tiny", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "tiny", role: "decode" }) });
  return { tiny: migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(64) })) };
};

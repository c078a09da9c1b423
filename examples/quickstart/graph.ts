import { disaggregated, createPool, migrating, uncachedTokensAbove } from "@stator/router";
import type { Engine } from "@stator/core";
import type { Runtime } from "@stator/runtime";

/** A graph is a function of a runtime; the same file serves in production and in tests. */
export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: "tiny", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "tiny", role: "decode" }) });
  return { tiny: migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(64) })) };
};

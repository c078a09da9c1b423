// Two models behind one server, each with a graph of its own: one aggregated pool, one disaggregated.
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, powerOfTwo, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const small = createPool({ workers: runtime.workers({ model: "small" }), policy: powerOfTwo() });
  const prefill = createPool({ workers: runtime.workers({ model: "large", role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: "large", role: "decode" }) });
  return {
    small: migrating(small),
    large: migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(32) })),
  };
};

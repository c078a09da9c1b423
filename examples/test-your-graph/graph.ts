import type { Engine } from "@stator/core";
import { createPool, migrating } from "@stator/router";
import type { Runtime } from "@stator/runtime";

/** The graph under test: a decode pool whose streams survive their worker. */
export const graph = (runtime: Runtime): Record<string, Engine> => {
  const decode = createPool({ workers: runtime.workers({ model: "tiny", role: "decode" }) });
  return { tiny: migrating(decode) };
};

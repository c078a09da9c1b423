import type { Candidate } from "../search/candidate.ts";
import type { Target } from "../target.ts";

/** A readable `graph.ts` of the layout: what a user would write by hand. */
export function graphSource(candidate: Candidate, target: Target): string {
  const model = JSON.stringify(target.model.name);
  const describe = candidate.workers
    .map(
      ({ count, role, label, gpus }) =>
        `${count} × ${role === "both" ? "worker" : role} of ${gpus} GPU${gpus > 1 ? "s" : ""} (${label})`,
    )
    .join(", ");
  if (candidate.mode === "agg")
    return `// ${target.system.name}: ${describe}
import type { Engine } from "@stator/core";
import { createPool, migrating } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const workers = createPool({ workers: runtime.workers({ model: ${model} }) });
  return { ${model}: migrating(workers) };
};
`;
  return `// ${target.system.name}: ${describe}
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: ${model}, role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: ${model}, role: "decode" }) });
  return { ${model}: migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(256) })) };
};
`;
}

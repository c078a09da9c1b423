import type { Candidate } from "../search/candidate.ts";
import type { Target } from "../target.ts";

/** A readable `graph.ts` of the layout: what a user would write by hand. */
export function graphSource(candidate: Candidate, target: Target): string {
  const describe = candidate.workers
    .map(
      ({ count, role, label, gpus }) =>
        `${count} × ${role === "both" ? "worker" : role} of ${gpus} GPU${gpus > 1 ? "s" : ""} (${label})`,
    )
    .join(", ");
  return graphText(target.model.name, candidate.mode === "disagg", `${target.system.name}: ${describe}`);
}

/** `graph.ts` of one model, with prefill apart or not. */
export function graphText(name: string, isSplit: boolean, title: string, aboveTokens = 256): string {
  const model = JSON.stringify(name);
  const key = /^[a-z]\w*$/i.test(name) ? name : model;
  if (!isSplit)
    return `// ${title}
import type { Engine } from "@stator/core";
import { createPool, migrating } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const workers = createPool({ workers: runtime.workers({ model: ${model} }) });
  return { ${key}: migrating(workers) };
};
`;
  return `// ${title}
import type { Engine } from "@stator/core";
import { createPool, disaggregated, migrating, uncachedTokensAbove } from "@stator/router";
import type { Runtime } from "@stator/runtime";

export const graph = (runtime: Runtime): Record<string, Engine> => {
  const prefill = createPool({ workers: runtime.workers({ model: ${model}, role: "prefill" }) });
  const decode = createPool({ workers: runtime.workers({ model: ${model}, role: "decode" }) });
  return { ${key}: migrating(disaggregated({ prefill, decode, when: uncachedTokensAbove(${aboveTokens}) })) };
};
`;
}

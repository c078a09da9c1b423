import type { Engine, Layout, LayoutModel, LayoutPool, Pool, WorkerRole, WorkerSource } from "@stator/core";
import { disaggregated } from "../disaggregated/disaggregated.ts";
import { uncachedTokensAbove } from "../disaggregated/when.ts";
import { defaultUncachedTokens } from "../disaggregated/disaggregated.ts";
import { migrating } from "../migrating/migrating.ts";
import { createPool } from "../pool/create-pool.ts";
import { policyByName } from "./policy-by-name.ts";

/** What a graph needs of a runtime. */
export interface GraphRuntime {
  workers(filter: { readonly model: string; readonly role: WorkerRole }): WorkerSource;
}

/**
 * The engines that a layout describes, by model name: the same combinators that a graph file would call. Workers of role
 * `both` form one pool; `prefill` and `decode` are joined by `disaggregated`; streams migrate unless the layout says no.
 */
export function graphFromLayout(runtime: GraphRuntime, layout: Layout): Record<string, Engine> {
  return Object.fromEntries(
    Object.entries(layout.models).map(([name, model]) => [name, engineOf(runtime, name, model)]),
  );
}

function engineOf(runtime: GraphRuntime, name: string, model: LayoutModel): Engine {
  const pool = (role: WorkerRole): Pool | undefined => {
    const described = Object.values(model.pools).find((candidate) => candidate.role === role);
    return described === undefined
      ? undefined
      : poolOf(runtime.workers({ model: name, role }), role, described);
  };
  const prefill = pool("prefill");
  const decode = pool("decode");
  const serving =
    prefill !== undefined && decode !== undefined
      ? disaggregated({
          prefill,
          decode,
          when: uncachedTokensAbove(model.disaggregateAboveTokens ?? defaultUncachedTokens),
        })
      : pool("both")!;
  return model.migrate === false ? serving : migrating(serving);
}

function poolOf(workers: WorkerSource, role: WorkerRole, { policy }: LayoutPool): Pool {
  return createPool({
    workers,
    name: role,
    ...(policy === undefined ? {} : { policy: policyByName(policy.name, policy.options) }),
  });
}

import type {
  Engine,
  Layout,
  LayoutModel,
  LayoutPool,
  Logger,
  Meter,
  Pool,
  WorkerRole,
  WorkerSource,
} from "@stator/core";
import { disaggregated } from "../disaggregated/disaggregated.ts";
import { uncachedTokensAbove } from "../disaggregated/when.ts";
import { defaultUncachedTokens } from "../disaggregated/disaggregated.ts";
import { migrating } from "../migrating/migrating.ts";
import { createPool, type PoolOptions } from "../pool/create-pool.ts";
import type { ReplicaGroup } from "../replicas/replica-group.ts";
import { createSelector } from "../selector/create-selector.ts";
import type { Selector } from "../selector/selector.ts";
import { policyByName } from "./policy-by-name.ts";

/** What a graph needs of a runtime. */
export interface GraphRuntime {
  workers(filter: { readonly model: string; readonly role: WorkerRole }): WorkerSource;
}

export interface GraphOptions {
  /** What pools and migration measure. Default: nothing. */
  readonly meter?: Meter;
  /** Where pools say that they refuse or distrust a worker. Default: silent. */
  readonly logger?: Logger;
  /** Routers in front of the same workers: pools share their bookings with them. Default: none. */
  readonly replicas?: ReplicaGroup;
  /** Whether workers that join are probed; see `PoolOptions.probe`. Default `events`. */
  readonly probe?: PoolOptions["probe"];
  /** Hears what probes come to. */
  readonly onProbe?: PoolOptions["onProbe"];
  /** Around each pool's selector: `recording`, or one of your own. Default: as it is. */
  readonly wrapSelector?: (
    selector: Selector,
    pool: { readonly model: string; readonly role: WorkerRole },
  ) => Selector;
}

/**
 * The engines that a layout describes, by model name: the same combinators that a graph file would call. Workers of role
 * `both` form one pool; `prefill` and `decode` are joined by `disaggregated`; streams migrate unless the layout says no.
 */
export function graphFromLayout(
  runtime: GraphRuntime,
  layout: Layout,
  options: GraphOptions = {},
): Record<string, Engine> {
  return Object.fromEntries(
    Object.entries(layout.models).map(([name, model]) => [name, engineOf(runtime, name, model, options)]),
  );
}

function engineOf(runtime: GraphRuntime, name: string, model: LayoutModel, options: GraphOptions): Engine {
  const pool = (role: WorkerRole): Pool | undefined => {
    const described = Object.values(model.pools).find((candidate) => candidate.role === role);
    return described === undefined
      ? undefined
      : poolOf(runtime.workers({ model: name, role }), name, role, described, options);
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
  return model.migrate === false
    ? serving
    : migrating(serving, options.meter === undefined ? {} : { meter: options.meter });
}

function poolOf(
  workers: WorkerSource,
  model: string,
  role: WorkerRole,
  { policy }: LayoutPool,
  { meter, logger, replicas, probe, onProbe, wrapSelector }: GraphOptions,
): Pool {
  const said = {
    ...(meter === undefined ? {} : { meter }),
    ...(logger === undefined ? {} : { logger }),
    ...(policy === undefined ? {} : { policy: policyByName(policy.name, policy.options) }),
  };
  const selector = (): Selector => {
    const own = createSelector(said);
    const shared = replicas === undefined ? own : replicas.join(`${model}/${role}`, own);
    return wrapSelector === undefined ? shared : wrapSelector(shared, { model, role });
  };
  return createPool({
    workers,
    name: role,
    ...said,
    ...(probe === undefined ? {} : { probe }),
    ...(onProbe === undefined ? {} : { onProbe }),
    ...(replicas === undefined && wrapSelector === undefined ? {} : { selector: selector() }),
  });
}

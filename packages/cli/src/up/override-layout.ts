import { CoreError, parseLayout, type Layout, type LayoutPool } from "@stator/core";

/** What the flags of `stator up` change in a layout. */
export interface LayoutOverrides {
  readonly port?: number;
  readonly host?: string;
  readonly frontends?: number;
  /** Replicas of the pools of that role. */
  readonly prefill?: number;
  readonly decode?: number;
  /** A GGUF file for every llama engine. */
  readonly modelPath?: string;
  /** KV tiers of every llama engine. */
  readonly hostCacheBytes?: number;
  readonly diskCache?: string;
  readonly diskCacheBytes?: number;
  readonly sharedCache?: string;
  readonly engine?: "llama" | "simulated";
  /** Of every model. */
  readonly toolCallFormat?: string;
  /** Of every model. */
  readonly reasoningFormat?: string;
  readonly namespace?: string;
}

/**
 * A layout with flags applied. `prefill: 0` makes the graph aggregated: its decode workers do both.
 *
 * @throws CoreError `CORE_LAYOUT_INVALID`
 */
export function overrideLayout(layout: Layout, overrides: LayoutOverrides): Layout {
  const models = Object.fromEntries(
    Object.entries(layout.models).map(([name, model]) => [
      name,
      {
        ...model,
        toolCallFormat: overrides.toolCallFormat ?? model.toolCallFormat,
        reasoningFormat: overrides.reasoningFormat ?? model.reasoningFormat,
        pools: poolsOf(model.pools, overrides),
      },
    ]),
  );
  return parseLayout({
    ...layout,
    models,
    namespace: overrides.namespace ?? layout.namespace,
    frontend: {
      host: overrides.host ?? layout.frontend.host,
      port: overrides.port ?? layout.frontend.port,
      replicas: overrides.frontends ?? layout.frontend.replicas,
    },
  });
}

function poolsOf(
  pools: Layout["models"][string]["pools"],
  overrides: LayoutOverrides,
): Record<string, LayoutPool> {
  const isAggregated = overrides.prefill === 0;
  if (overrides.decode === 0) {
    throw new CoreError({
      code: "CORE_LAYOUT_INVALID",
      kind: "invalid",
      message: "--decode 0 leaves nothing that decodes; give at least 1.",
    });
  }
  const entries = Object.entries(pools)
    .filter(([, pool]) => !(isAggregated && pool.role === "prefill"))
    .map(([name, pool]): [string, LayoutPool] => [
      name,
      {
        ...pool,
        role: isAggregated && pool.role === "decode" ? "both" : pool.role,
        replicas:
          pool.role === "prefill"
            ? (overrides.prefill ?? pool.replicas)
            : (overrides.decode ?? pool.replicas),
        engine: engineOf(pool.engine, overrides),
      },
    ]);
  return Object.fromEntries(entries);
}

function engineOf(
  engine: LayoutPool["engine"],
  { engine: kind, modelPath, hostCacheBytes, diskCache, diskCacheBytes, sharedCache }: LayoutOverrides,
): LayoutPool["engine"] {
  const chosen = kind === undefined || kind === engine.kind ? engine : ({ kind } as LayoutPool["engine"]);
  if (chosen.kind !== "llama") return chosen;
  return {
    ...chosen,
    ...(modelPath === undefined ? {} : { modelPath }),
    ...(hostCacheBytes === undefined ? {} : { hostCacheBytes }),
    ...(diskCache === undefined ? {} : { diskCache }),
    ...(diskCacheBytes === undefined ? {} : { diskCacheBytes }),
    ...(sharedCache === undefined ? {} : { sharedCache }),
  };
}

import type { Limits, Workers } from "@stator/planner";
import { runScaling, type ScalingOptions, type ScalingRun } from "./run-scaling.ts";
import { fixed } from "./strategies.ts";

export interface StaticBest extends ScalingRun {
  readonly layout: Workers;
  readonly mostPerGpuHour: {
    readonly layout: Workers;
    readonly sloAttainment: number;
    readonly goodputPerGpuHour: number;
  };
}

/**
 * Of all layouts within the budget the one that keeps the SLO for most requests, of equals the one with fewest GPUs.
 * More workers of a role never serve worse, so that only layouts around the fewest that suffice, or on the budget's edge
 * where they do not fit, need to be run.
 */
export function bestStatic(shared: Omit<ScalingOptions, "strategy" | "initial">, limits: Limits): StaticBest {
  const { times, graph } = shared;
  const gpus = times.gpusPerWorker;
  const isAggregated = graph === "aggregated";
  const runs = new Map<string, ScalingRun>();
  const run = (layout: Workers): ScalingRun => {
    const key = `${layout.prefill}/${layout.decode}`;
    let found = runs.get(key);
    if (found === undefined)
      runs.set(key, (found = runScaling({ ...shared, initial: layout, strategy: fixed() })));
    return found;
  };
  const most: Workers = {
    prefill: isAggregated ? 0 : Math.max(1, Math.floor((limits.gpus - gpus.decode) / gpus.prefill)),
    decode: Math.max(1, Math.floor((limits.gpus - (isAggregated ? 0 : gpus.prefill)) / gpus.decode)),
  };
  const ceiling = run(most).sloAttainment;
  const fewest = (role: keyof Workers): number => {
    let low = 0;
    let high = most[role];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (run({ ...most, [role]: middle }).sloAttainment >= ceiling) high = middle;
      else low = middle;
    }
    return high;
  };
  const enough: Workers = { prefill: isAggregated ? 0 : fewest("prefill"), decode: fewest("decode") };
  const costOf = (layout: Workers): number => layout.prefill * gpus.prefill + layout.decode * gpus.decode;

  const layouts: Workers[] = [];
  if (costOf(enough) <= limits.gpus) {
    for (
      let p = Math.max(isAggregated ? 0 : 1, enough.prefill - 2);
      p <= Math.min(most.prefill, enough.prefill + 1);
      p++
    )
      for (let d = Math.max(1, enough.decode - 2); d <= Math.min(most.decode, enough.decode + 1); d++)
        if (costOf({ prefill: p, decode: d }) <= limits.gpus) layouts.push({ prefill: p, decode: d });
  } else {
    for (let p = 1; p <= most.prefill; p++) {
      const d = Math.floor((limits.gpus - p * gpus.prefill) / gpus.decode);
      if (d >= 1) layouts.push({ prefill: p, decode: d });
    }
  }
  const all = layouts.map((layout) => ({ layout, result: run(layout) }));
  let best = all[0]!;
  let dense = all[0]!;
  for (const one of all) {
    const gain = one.result.sloAttainment - best.result.sloAttainment;
    if (gain > 0 || (gain === 0 && costOf(one.layout) < costOf(best.layout))) best = one;
    if (one.result.goodputPerGpuHour > dense.result.goodputPerGpuHour) dense = one;
  }
  return {
    layout: best.layout,
    ...best.result,
    mostPerGpuHour: {
      layout: dense.layout,
      sloAttainment: dense.result.sloAttainment,
      goodputPerGpuHour: dense.result.goodputPerGpuHour,
    },
  };
}

import {
  plan,
  type Limits,
  type LoadForecast,
  type Plan,
  type Profile,
  type Slo,
  type Workers,
} from "@stator/planner";
import type { TraceRequest } from "../workload/trace-request.ts";
import { dynamo04 } from "./dynamo-0.4.ts";
import { oracle } from "./oracle.ts";
import { runScaling, type ScalingOptions, type ScalingRun } from "./run-scaling.ts";
import type { ServingTimes } from "./serving-times.ts";
import { bestStatic } from "./static-layouts.ts";
import { ours, reactive } from "./strategies.ts";
import { simulatorError } from "../simulator-error.ts";

export type StrategyName = "static" | "reactive" | "dynamo-0.4" | "ours" | "oracle";

/** All strategies, in the order of the report. */
export const strategyNames: readonly StrategyName[] = ["static", "reactive", "dynamo-0.4", "ours", "oracle"];

export interface PlannerReplayOptions {
  readonly workload: readonly TraceRequest[];
  /** Default: the last arrival. */
  readonly durationMs?: number;
  readonly times: ServingTimes;
  /** What the planners believe. */
  readonly profile: Profile;
  /** `percentile` is what ours plans for; default 95. */
  readonly slo: Slo;
  readonly limits: Limits;
  readonly startupMs: number;
  readonly intervalMs: number;
  readonly strategies?: readonly StrategyName[];
  readonly onProgress?: (done: StrategyName) => void;
}

/** One strategy on one load. */
export interface PlannerReplayRow extends ScalingRun {
  readonly strategy: StrategyName;
  /** At the start; of `static`, throughout. */
  readonly layout: Workers;
  /** Of `static` only: the layout with most goodput per GPU-hour, whatever its attainment. */
  readonly mostPerGpuHour?: {
    readonly layout: Workers;
    readonly sloAttainment: number;
    readonly goodputPerGpuHour: number;
  };
  /** Of `ours` only: every decision. */
  readonly decisions?: readonly ReplayDecision[];
}

export interface ReplayDecision {
  readonly atMs: number;
  readonly forecast: LoadForecast;
  readonly plan: Plan;
}

/**
 * The same load under each strategy. `static`: of all layouts in the budget the one that keeps the SLO for most requests,
 * of equals the smallest. All that scale start with the plan for the first minute.
 *
 * @throws SimulatorError `SIMULATOR_RUN_INVALID` for a budget that one worker of each role does not fit into.
 */
export function plannerReplay(options: PlannerReplayOptions): PlannerReplayRow[] {
  const { workload, times, profile, limits, startupMs, intervalMs } = options;
  const { prefill, decode } = profile;
  const least = decode.gpusPerWorker + (limits.graph === "aggregated" ? 0 : prefill.gpusPerWorker);
  if (limits.gpus < least)
    throw simulatorError(
      "SIMULATOR_RUN_INVALID",
      `${limits.gpus} GPUs are too few: one worker of each role takes ${least}.`,
    );
  const slo: Slo = { ...options.slo, percentile: options.slo.percentile ?? 95 };
  const durationMs = options.durationMs ?? (workload[workload.length - 1]?.atMs ?? 0) + 1;
  const { graph } = limits;
  const shared = { workload, durationMs, times, graph, slo, startupMs, intervalMs };
  const strategy = { profile, slo, limits, startupMs, intervalMs };
  const initial = planForFirstMinute(options, slo);
  const wanted = options.strategies ?? strategyNames;
  const still =
    wanted.includes("static") || wanted.includes("oracle") ? bestStatic(shared, limits) : undefined;

  const rows: PlannerReplayRow[] = [];
  for (const name of strategyNames) {
    if (!wanted.includes(name)) continue;
    const decisions: ReplayDecision[] = [];
    const run = (own: Pick<ScalingOptions, "strategy" | "initial"> & { readonly slo?: Slo }): ScalingRun =>
      runScaling({ ...shared, ...own });
    if (name === "static") rows.push({ strategy: name, ...still! });
    else if (name === "oracle") {
      const found = oracle({ ...shared, most: still!.layout });
      rows.push({ strategy: name, layout: found.schedule[0]!, ...found.run });
    } else if (name === "dynamo-0.4")
      // It looks at means: the middle of what was observed stands for them.
      rows.push({
        strategy: name,
        layout: initial,
        ...run({ initial, strategy: dynamo04(strategy), slo: { ...slo, percentile: 50 } }),
      });
    else if (name === "reactive")
      rows.push({ strategy: name, layout: initial, ...run({ initial, strategy: reactive(strategy) }) });
    else
      rows.push({
        strategy: name,
        layout: initial,
        decisions,
        ...run({
          initial,
          strategy: ours({ ...strategy, onPlan: (decision) => void decisions.push(decision) }),
        }),
      });
    options.onProgress?.(name);
  }
  return rows;
}

function planForFirstMinute({ workload, profile, limits }: PlannerReplayOptions, slo: Slo): Workers {
  const from = workload[0]?.atMs ?? 0;
  const first = workload.filter((request) => request.atMs < from + 60_000);
  const mean = (of: (request: TraceRequest) => number): number =>
    first.reduce((sum, request) => sum + of(request), 0) / Math.max(1, first.length);
  const rate = first.length / 60;
  const nobody = { prefill: limits.graph === "aggregated" ? 0 : 1, decode: 1 };
  const { prefill, decode } = plan(
    { intervals: [], target: nobody, ready: nobody, sinceChangeMs: { prefill: 1e9, decode: 1e9 } },
    {
      requestsPerSecond: rate,
      requestsPerSecondUpper: rate,
      inputTokens: mean((request) => request.inputTokens),
      outputTokens: mean((request) => request.outputTokens),
      prefixHitRatio: 0,
    },
    profile,
    slo,
    limits,
  );
  return { prefill, decode };
}

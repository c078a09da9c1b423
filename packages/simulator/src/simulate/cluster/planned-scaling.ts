import type { Layout } from "@stator/core";
import type { Limits, Profile, Slo } from "@stator/planner";
import { ours } from "../../planner-replay/strategies.ts";
import { profileOfTimes, type ServingTimes } from "../../planner-replay/serving-times.ts";
import { simulatorError } from "../../simulator-error.ts";
import type { SimulatedScaling, SimulationOptions } from "../simulation.ts";
import { servedModelOf, workerModelsOf } from "../engine/served-model.ts";
import type { WorkerModel } from "../engine/worker-model.ts";

export interface PlannedScalingOptions {
  readonly layout: Layout;
  /** Which of the layout's models. Default: its first. */
  readonly servedModel?: string | undefined;
  /** As `simulateLayout` takes it. */
  readonly worker?: SimulationOptions["worker"];
  /** What the planner believes. Default: the simulated workers' own times. */
  readonly profile?: Profile | undefined;
  /** Default: the layout's, which must then name both TTFT and ITL. */
  readonly slo?: Slo | undefined;
  readonly limits: Omit<Limits, "graph">;
  /** Between decisions. Default 30,000. */
  readonly intervalMs?: number | undefined;
  /** As the simulation has it. Default 60,000. */
  readonly startupMs?: number | undefined;
}

/**
 * The planner as it runs in production, for `simulateLayout`: forecast, `plan` at each interval, `react` in between.
 *
 * @throws SimulatorError `SIMULATOR_RUN_INVALID` without an SLO.
 */
export function plannedScaling(options: PlannedScalingOptions): SimulatedScaling {
  const { intervalMs = 30_000, startupMs = 60_000 } = options;
  const served = servedModelOf(options.layout, options.servedModel);
  const models = workerModelsOf(served, options.worker);
  const serving = models.find(({ pool }) => pool.role !== "prefill")!.model;
  const prefill = models.find(({ pool }) => pool.role === "prefill")?.model;
  const slo = options.slo ?? sloOf(served.slo);
  const strategy = ours({
    profile: options.profile ?? profileOfTimes(timesOfWorkers(prefill ?? serving, serving)),
    slo,
    limits: { ...options.limits, graph: prefill === undefined ? "aggregated" : "disaggregated" },
    startupMs,
    intervalMs,
  });
  return { strategy, intervalMs, ...(slo.percentile === undefined ? {} : { percentile: slo.percentile }) };
}

function sloOf(
  slo: { readonly ttftMs?: number | undefined; readonly itlMs?: number | undefined } | undefined,
): Slo {
  if (slo?.ttftMs !== undefined && slo.itlMs !== undefined) return { ttftMs: slo.ttftMs, itlMs: slo.itlMs };
  throw simulatorError(
    "SIMULATOR_RUN_INVALID",
    "A planner needs an SLO: ttftMs and itlMs, of the layout's model or of the planner's own section.",
  );
}

/** Times of a worker as a whole: its ranks share the prompts and the sequences evenly. */
function timesOfWorkers(prefill: WorkerModel, decode: WorkerModel): ServingTimes {
  const shareOf = (tokens: number, ranks: number): number => Math.max(1, Math.round(tokens / ranks));
  const prefillMs = (newTokens: number, pastTokens: number): number => {
    const most = prefill.stepTokens ?? 8192;
    let ms = 0;
    for (let done = 0; done < newTokens; done += most)
      ms += prefill.stepMs(Math.min(most, newTokens - done), 1, pastTokens + done, 0, 0);
    return ms / (prefill.ranks ?? 1);
  };
  return {
    source: "simulated workers",
    gpusPerWorker: { prefill: prefill.gpus ?? 1, decode: decode.gpus ?? 1 },
    maxKvTokens: decode.kvTokens * (decode.ranks ?? 1),
    transferMsPerToken: ((decode.kvBytesPerToken ?? 0) * 1000) / (decode.linkBytesPerSecond ?? 50e9),
    prefillMs,
    decodeMs: (sequences, contextTokens) =>
      decode.stepMs(0, 0, 0, shareOf(sequences, decode.ranks ?? 1), contextTokens),
    mixedMs: (newTokens, pastTokens, sequences, contextTokens) =>
      decode.stepMs(newTokens, 1, pastTokens, shareOf(sequences, decode.ranks ?? 1), contextTokens),
  };
}

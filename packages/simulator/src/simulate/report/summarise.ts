import { distributionOf, type Histogram } from "./histogram.ts";
import type { SimulatedPool } from "../cluster/simulated-pool.ts";
import type { ScalingReport, SimulatedOutcome, Simulation } from "../simulation.ts";

/** The figures of a run. */
export function summarise(run: {
  readonly outcomes: readonly SimulatedOutcome[];
  readonly gaps: Histogram;
  readonly transfers: Histogram;
  readonly transferredBytes: number;
  readonly pools: readonly SimulatedPool[];
  readonly scaling: ScalingReport | undefined;
  readonly slo: { readonly ttftMs?: number | undefined; readonly itlMs?: number | undefined } | undefined;
}): Simulation {
  const { outcomes, slo } = run;
  const done = outcomes.filter((outcome) => outcome.endMs !== undefined && !outcome.isRejected);
  const rejected = outcomes.filter((outcome) => outcome.isRejected).length;
  const firstMs = outcomes[0]?.atMs ?? 0;
  const endMs = done.reduce((last, outcome) => Math.max(last, outcome.endMs!), firstMs);
  const durationMs = endMs - firstMs;
  const seconds = Math.max(1e-9, durationMs / 1000);
  const ttft = (outcome: SimulatedOutcome): number => outcome.firstTokenMs! - outcome.atMs;
  const tpot = (outcome: SimulatedOutcome): number =>
    (outcome.endMs! - outcome.firstTokenMs!) / Math.max(1, outcome.outputTokens - 1);
  const sum = (of: (outcome: SimulatedOutcome) => number): number =>
    done.reduce((total, outcome) => total + of(outcome), 0);
  const inputTokens = sum((outcome) => outcome.inputTokens);
  const outputTokens = sum((outcome) => outcome.outputTokens);
  const good = done.filter(
    (outcome) =>
      ttft(outcome) <= (slo?.ttftMs ?? Infinity) &&
      (outcome.outputTokens === 1 || tpot(outcome) <= (slo?.itlMs ?? Infinity)),
  );
  const workers = run.pools.flatMap((pool) =>
    [...pool.workers.values()].map((worker) => worker.report(endMs)),
  );
  const gpuMs = workers.reduce(
    (total, worker) =>
      total + Math.max(0, (worker.endedMs ?? endMs) - Math.max(firstMs, worker.startedMs)) * worker.gpus,
    0,
  );
  return {
    requests: outcomes.length,
    completed: done.length,
    rejected,
    unfinished: outcomes.length - done.length - rejected,
    migrations: outcomes.reduce((total, outcome) => total + outcome.migrations, 0),
    preemptions: workers.reduce((total, worker) => total + worker.preemptions, 0),
    durationMs,
    ttftMs: distributionOf(done.map(ttft)),
    tpotMs: distributionOf(done.filter((outcome) => outcome.outputTokens > 1).map(tpot)),
    itlMs: run.gaps.read(),
    requestMs: distributionOf(done.map((outcome) => outcome.endMs! - outcome.atMs)),
    transferMs: run.transfers.read(),
    transferredBytes: run.transferredBytes,
    requestsPerSecond: done.length / seconds,
    inputTokensPerSecond: inputTokens / seconds,
    outputTokensPerSecond: outputTokens / seconds,
    outputTokensPerSecondPerGpu: gpuMs === 0 ? 0 : (outputTokens * 1000) / gpuMs,
    goodputPerSecond:
      slo?.ttftMs === undefined && slo?.itlMs === undefined ? undefined : good.length / seconds,
    hitRatio: sum((outcome) => outcome.cachedTokens) / Math.max(1, inputTokens),
    gpuHours: gpuMs / 3_600_000 + (run.scaling?.startingGpuHours ?? 0),
    ...(run.scaling === undefined ? {} : { scaling: run.scaling }),
    workers,
    outcomes,
  };
}

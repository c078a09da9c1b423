import type { Parallelism } from "@stator/simulator/performance-model";
import { gpusOf, sequenceCapacity } from "@stator/simulator/performance-model";
import type { ServingPrediction } from "../serving/predict.ts";
import { predictAggregated } from "../serving/predict.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import type { Candidate, Limits } from "./candidate.ts";
import { meets, workerGroup } from "./candidate.ts";

/** Batch sizes per attention rank that the search tries. */
export const batchSizes: readonly number[] = [
  1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024,
];

/** One worker at one load. */
export interface WorkerPoint {
  readonly split: Parallelism;
  readonly gpus: number;
  readonly batch: number;
  readonly prediction: ServingPrediction;
}

/** Every split at every batch size that its KV cache holds. */
export function workerPoints(
  target: Target,
  workload: WorkloadOptions,
  splits: readonly Parallelism[],
): WorkerPoint[] {
  const points: WorkerPoint[] = [];
  for (const split of splits) {
    const worker = { ...target, parallelism: split };
    const capacity = sequenceCapacity(worker, workload.inputTokens + workload.outputTokens);
    for (const batch of batchSizes) {
      if (batch > capacity) break;
      points.push({
        split,
        gpus: gpusOf(split),
        batch,
        prediction: predictAggregated(worker, workload, batch),
      });
    }
  }
  return points;
}

/** Aggregated layouts of `gpus` GPUs: workers of one kind, and the rest of the budget filled with the best that fits it. */
export function aggregatedCandidates(
  points: readonly WorkerPoint[],
  workload: WorkloadOptions,
  gpus: number,
  limits: Limits,
): Candidate[] {
  const bestOfSize = new Map<number, WorkerPoint>();
  for (const point of points) {
    if (!meets(point.prediction, limits)) continue;
    const best = bestOfSize.get(point.gpus);
    if (best === undefined || point.prediction.requestsPerSecond > best.prediction.requestsPerSecond)
      bestOfSize.set(point.gpus, point);
  }
  const filler = bestFill([...bestOfSize.values()], gpus);
  const candidates: Candidate[] = [];
  for (const point of points) {
    const count = Math.floor(gpus / point.gpus);
    if (count === 0) continue;
    const rest = meets(point.prediction, limits) ? (filler[gpus - count * point.gpus] ?? []) : [];
    candidates.push(combine([...Array<WorkerPoint>(count).fill(point), ...rest], workload, gpus));
  }
  const mixed = filler[gpus] ?? [];
  if (mixed.length > 0) candidates.push(combine(mixed, workload, gpus));
  return candidates;
}

/** For every budget up to `gpus` the workers of greatest total throughput: an unbounded knapsack over worker sizes. */
function bestFill(kinds: readonly WorkerPoint[], gpus: number): WorkerPoint[][] {
  const rate: number[] = [0];
  const chosen: WorkerPoint[][] = [[]];
  for (let budget = 1; budget <= gpus; budget++) {
    rate[budget] = rate[budget - 1] ?? 0;
    chosen[budget] = chosen[budget - 1] ?? [];
    for (const kind of kinds) {
      if (kind.gpus > budget) continue;
      const total = (rate[budget - kind.gpus] ?? 0) + kind.prediction.requestsPerSecond;
      if (total > (rate[budget] ?? 0) + 1e-9) {
        rate[budget] = total;
        chosen[budget] = [...(chosen[budget - kind.gpus] ?? []), kind];
      }
    }
  }
  return chosen;
}

function combine(workers: readonly WorkerPoint[], workload: WorkloadOptions, gpus: number): Candidate {
  const kinds = new Map<WorkerPoint, number>();
  for (const worker of workers) kinds.set(worker, (kinds.get(worker) ?? 0) + 1);
  let requestsPerSecond = 0;
  let concurrency = 0;
  let gpusUsed = 0;
  let ttft = 0;
  let tpot = 0;
  for (const [{ prediction, gpus: size, batch, split }, count] of kinds) {
    const rate = prediction.requestsPerSecond * count;
    requestsPerSecond += rate;
    concurrency += batch * split.data * count;
    gpusUsed += size * count;
    ttft += prediction.ttftMs * rate;
    tpot += prediction.tpotMs * rate;
  }
  const ttftMs = ttft / requestsPerSecond;
  const tpotMs = tpot / requestsPerSecond;
  return {
    mode: "agg",
    workers: [...kinds].map(([point, count]) => workerGroup("both", count, point.split, point.batch)),
    gpusUsed,
    requestsPerSecond,
    tokensPerSecondPerGpu: (requestsPerSecond * workload.outputTokens) / gpus,
    tokensPerSecondPerUser: 1000 / tpotMs,
    ttftMs,
    tpotMs,
    requestMs: ttftMs + tpotMs * Math.max(1, workload.outputTokens - 1),
    concurrency,
    transferMs: 0,
    isSaturated: [...kinds.keys()].some((point) => point.prediction.isSaturated),
  };
}

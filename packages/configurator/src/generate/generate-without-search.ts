import type { Parallelism } from "@stator/simulator/performance-model";
import { gpusOf, sequenceCapacity, weightBytesPerGpu } from "@stator/simulator/performance-model";
import { aggregatedCandidates, batchSizes, workerPoints } from "../search/aggregated.ts";
import type { Candidate } from "../search/candidate.ts";
import { doesNotFit, feasibleSplits } from "../search/splits.ts";
import type { TargetOptions, WorkloadOptions } from "../target.ts";
import { checkPositive, checkWorkload, resolveTarget } from "../target.ts";
import type { GeneratedFile, GenerateFilesOptions } from "./generate.ts";
import { filesOf } from "./generate.ts";

export interface GenerateOptions extends TargetOptions, Partial<WorkloadOptions>, GenerateFilesOptions {
  readonly gpus: number;
  /** Largest batch per attention rank. Default 128. */
  readonly maxBatch?: number;
}

export interface Generated {
  readonly candidate: Candidate;
  readonly files: readonly GeneratedFile[];
}

/** Memory over weights that leaves room for a useful KV cache. */
const memoryOverWeights = 1.5;

/**
 * A sane aggregated deployment without a search: the smallest worker whose memory is 1.5 times its weights, as often as
 * the budget holds it, at the largest batch its KV cache holds.
 */
export function generate(options: GenerateOptions): Generated {
  const target = resolveTarget(options);
  checkPositive(options, ["gpus", "maxBatch"]);
  const workload = {
    inputTokens: options.inputTokens ?? 4000,
    outputTokens: options.outputTokens ?? 1000,
    ...(options.prefixTokens === undefined ? {} : { prefixTokens: options.prefixTokens }),
  };
  checkWorkload(workload, target.model);
  const tokens = workload.inputTokens + workload.outputTokens;
  const isRoomy = (split: Parallelism): boolean =>
    target.system.memoryBytes > memoryOverWeights * weightBytesPerGpu({ ...target, parallelism: split });
  const splits = feasibleSplits(target, options.gpus, tokens).sort(
    (a, b) => gpusOf(a) - gpusOf(b) || a.data - b.data || b.expert - a.expert,
  );
  const split = splits.find(isRoomy) ?? splits[0];
  if (split === undefined) throw doesNotFit(target, options.gpus, tokens);
  const most = Math.min(options.maxBatch ?? 128, sequenceCapacity({ ...target, parallelism: split }, tokens));
  const batch = [...batchSizes].reverse().find((size) => size <= most) ?? 1;
  const points = workerPoints(target, workload, [split]).filter((point) => point.batch === batch);
  const candidate = aggregatedCandidates(points, workload, options.gpus, {})[0];
  if (candidate === undefined) throw doesNotFit(target, options.gpus, tokens);
  return { candidate, files: filesOf(candidate, target, workload, options) };
}

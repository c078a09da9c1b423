import type { Parallelism } from "@stator/simulator/performance-model";
import {
  gpusOf,
  hasExperts,
  memoryUse,
  parallelismProblems,
  sequenceCapacity,
} from "@stator/simulator/performance-model";
import { configuratorError } from "../configurator-error.ts";
import type { Target } from "../target.ts";

/** Every way to split the model over at most `gpus` GPUs of one worker that engines support and that fits the memory. */
export function feasibleSplits(target: Target, gpus: number, sequenceTokens: number): Parallelism[] {
  return possibleSplits(target, gpus).filter(
    (split) => sequenceCapacity({ ...target, parallelism: split }, sequenceTokens) >= 1,
  );
}

/** The same without asking for memory. */
function possibleSplits({ model, system }: Target, gpus: number): Parallelism[] {
  const isMoe = hasExperts(model);
  const isRack = system.nvlinkDomain > system.gpusPerNode;
  const widest = Math.max(isRack ? 16 : 8, system.gpusPerNode);
  const sizes = [1, 2, 4, 8, 16, 32, 64];
  const splits: Parallelism[] = [];
  for (const tensor of sizes.filter((size) => size <= Math.min(widest, gpus)))
    for (const pipeline of [1, 2, 4]) {
      // Pipelines are for what one node cannot hold; inside a node tensor parallelism is faster.
      if (pipeline > 1 && tensor < 8) continue;
      splits.push({ tensor, pipeline, data: 1, expertTensor: tensor, expert: 1 });
      if (isMoe && tensor > 1) splits.push({ tensor, pipeline, data: 1, expertTensor: 1, expert: tensor });
    }
  // Attention data parallelism goes with whole experts, as engines implement it.
  if (isMoe)
    for (const data of sizes.filter((size) => size > 1 && size <= Math.min(isRack ? 64 : 32, gpus)))
      splits.push({ tensor: 1, pipeline: 1, data, expertTensor: 1, expert: data });
  return splits.filter((split) => gpusOf(split) <= gpus && parallelismProblems(split, model).length === 0);
}

/**
 * The error for a model that no split fits, which says what would.
 */
export function doesNotFit(target: Target, gpus: number, sequenceTokens: number): Error {
  const { model, system } = target;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(0)} GiB`;
  const splits = possibleSplits(target, gpus);
  const leanest = splits
    .map((split) => ({ split, use: memoryUse({ ...target, parallelism: split }) }))
    .sort((a, b) => b.use.kvCapacityBytes - a.use.kvCapacityBytes)[0];
  const needed = smallestFit(target, sequenceTokens);
  const have = leanest
    ? `Its weights take ${gib(leanest.use.weightBytes)} per GPU at best, of ${gib(system.memoryBytes)}`
    : `No supported split of it has at most ${gpus} GPUs`;
  const would =
    needed === undefined
      ? "no supported split of this model on this system fits"
      : `${needed} GPUs of ${system.name} would fit`;
  const narrower =
    target.quantization.dense === "bf16" && system.fp8PerSecond !== undefined
      ? "; quantization fp8 halves the weights"
      : "";
  return configuratorError(
    "CONFIGURATOR_DOES_NOT_FIT",
    `${model.name} with ${sequenceTokens} tokens per request does not fit ${gpus} × ${system.name}. ${have}; ${would}${narrower}.`,
    {
      gpus,
      ...(needed === undefined ? {} : { wouldFitGpus: needed }),
    },
  );
}

/** Fewest GPUs of a worker that holds at least one request. */
export function smallestFit(target: Target, sequenceTokens: number): number | undefined {
  const sizes = feasibleSplits(target, 64, sequenceTokens).map(gpusOf);
  return sizes.length === 0 ? undefined : Math.min(...sizes);
}

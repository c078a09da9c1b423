import type { MemoryUse, Parallelism, StepBreakdown } from "@stator/simulator/performance-model";
import {
  checkParallelism,
  gpusOf,
  memoryUse,
  parallelism,
  parallelismLabel,
  sequenceCapacity,
  stepBreakdown,
  stepTime,
} from "@stator/simulator/performance-model";
import { configuratorError } from "./configurator-error.ts";
import { errorBands } from "./serving/error-bands.ts";
import { defaultStepTokens, predictAggregated, predictDisaggregated } from "./serving/predict.ts";
import type { ServingPrediction, WorkerSpec } from "./serving/predict.ts";
import { doesNotFit } from "./search/splits.ts";
import type { Target, TargetOptions, WorkloadOptions } from "./target.ts";
import { checkPositive, checkWorkload, resolveTarget } from "./target.ts";

export interface EstimateOptions extends TargetOptions, WorkloadOptions {
  /** `agg` (default): one worker with continuous batching. `static`: one batch, prefilled then decoded together. `disagg`: prefill workers feeding decode workers. */
  readonly mode?: "agg" | "disagg" | "static";
  /** Of the aggregated, static or decode worker. Default TP1. */
  readonly parallelism?: Partial<Parallelism>;
  /** Of a prefill worker; default as `parallelism`. */
  readonly prefillParallelism?: Partial<Parallelism>;
  /** Requests in flight per attention rank. Default 1. */
  readonly batch?: number;
  /** Default 1. */
  readonly prefillWorkers?: number;
  /** Default 1. */
  readonly decodeWorkers?: number;
}

export interface Estimate {
  readonly mode: "agg" | "disagg" | "static";
  readonly label: string;
  readonly gpus: number;
  readonly batch: number;
  readonly ttftMs: number;
  readonly tpotMs: number;
  readonly requestMs: number;
  readonly ttftRangeMs: readonly [number, number];
  readonly tpotRangeMs: readonly [number, number];
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
  readonly tokensPerSecondPerGpu: number;
  readonly tokensPerSecondPerUser: number;
  readonly isSaturated: boolean;
  /** Requests that one attention rank's KV cache holds at once. */
  readonly capacity: number;
  /** One prefill and one decode step of this point, by operation. */
  readonly prefillStep: StepBreakdown;
  readonly decodeStep: StepBreakdown;
  readonly memory: MemoryUse & { readonly kvUsedBytes: number; readonly totalBytes: number };
  /** Moving one prompt's KV; only disaggregated. */
  readonly transferMs?: number;
}

/**
 * What one layout would do at one load, with an account of its time and memory.
 *
 * @throws ConfiguratorError `CONFIGURATOR_DOES_NOT_FIT`, `CONFIGURATOR_OPTION_INVALID`; SimulatorError for unknown names or an impossible split.
 */
export function estimate(options: EstimateOptions): Estimate {
  const target = resolveTarget(options);
  checkWorkload(options, target.model);
  checkPositive(options, ["batch", "prefillWorkers", "decodeWorkers"]);
  const { mode = "agg", batch = 1, inputTokens, outputTokens, prefixTokens = 0 } = options;
  const split = checkedSplit(target, options.parallelism, inputTokens + outputTokens);
  const worker: WorkerSpec = { ...target, parallelism: split };
  const prefillSplit =
    mode === "disagg" && options.prefillParallelism
      ? checkedSplit(target, options.prefillParallelism, inputTokens)
      : split;
  const decode = { sequences: batch / split.pipeline, contextTokens: inputTokens + outputTokens / 2 };
  const prefill = { newTokens: inputTokens - prefixTokens, pastTokens: prefixTokens };
  const decodeStep = stepBreakdown({ ...worker, batch: { decode } });
  const prefillStep = stepBreakdown({
    ...worker,
    parallelism: prefillSplit,
    batch: { prefill: [{ sequences: mode === "static" ? batch : 1, ...prefill }] },
  });
  const { prefillWorkers = 1, decodeWorkers = 1 } = options;
  const gpus =
    mode === "disagg" ? prefillWorkers * gpusOf(prefillSplit) + decodeWorkers * gpusOf(split) : gpusOf(split);

  const prediction: ServingPrediction & { readonly transferMs?: number } =
    mode === "static"
      ? staticBatch(worker, options, batch)
      : mode === "agg"
        ? predictAggregated(worker, options, batch)
        : predictDisaggregated(
            {
              prefill: { ...target, parallelism: prefillSplit },
              decode: worker,
              prefillWorkers,
              decodeWorkers,
              decodeBatch: batch,
            },
            options,
          );
  const memoryOptions = {
    ...worker,
    maxBatchTokens:
      mode === "static"
        ? Math.max(batch, Math.min(defaultStepTokens, inputTokens * batch))
        : defaultStepTokens,
  };
  const memory = memoryUse(memoryOptions);
  const band = errorBands[mode === "disagg" ? "disagg" : "agg"];
  const tokensPerSecond = prediction.requestsPerSecond * outputTokens;
  return {
    mode,
    label:
      mode === "disagg"
        ? `${prefillWorkers} × prefill ${parallelismLabel(prefillSplit)} + ${decodeWorkers} × decode ${parallelismLabel(split)}`
        : parallelismLabel(split),
    gpus,
    batch,
    ttftMs: prediction.ttftMs,
    tpotMs: prediction.tpotMs,
    requestMs: prediction.requestMs,
    ttftRangeMs: [prediction.ttftMs * band.ttft[0], prediction.ttftMs * band.ttft[1]],
    tpotRangeMs: [prediction.tpotMs * band.tpot[0], prediction.tpotMs * band.tpot[1]],
    requestsPerSecond: prediction.requestsPerSecond,
    tokensPerSecond,
    tokensPerSecondPerGpu: tokensPerSecond / gpus,
    tokensPerSecondPerUser: 1000 / prediction.tpotMs,
    isSaturated: prediction.isSaturated,
    capacity: prediction.capacityPerRank,
    prefillStep,
    decodeStep,
    memory: {
      ...memory,
      kvUsedBytes:
        Math.min(1, prediction.runningPerRank / Math.max(1, prediction.capacityPerRank)) *
        Math.max(0, memory.kvCapacityBytes),
      totalBytes: target.system.memoryBytes,
    },
    ...(prediction.transferMs === undefined ? {} : { transferMs: prediction.transferMs }),
  };
}

function checkedSplit(target: Target, given: Partial<Parallelism> | undefined, tokens: number): Parallelism {
  const split = parallelism(given);
  checkParallelism(split, target.model);
  if (sequenceCapacity({ ...target, parallelism: split }, tokens) < 1)
    throw doesNotFit(target, gpusOf(split), tokens);
  return split;
}

/** All sequences prefilled at once, then decoded to the end: no queue, no arrivals. Kernels and engine overhead only. */
function staticBatch(worker: WorkerSpec, workload: WorkloadOptions, batch: number): ServingPrediction {
  const { inputTokens, outputTokens, prefixTokens = 0 } = workload;
  const capacity = sequenceCapacity(worker, inputTokens + outputTokens);
  if (batch > capacity)
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `batch is ${batch}, but the KV cache holds ${capacity} sequences of ${inputTokens + outputTokens} tokens per attention rank`,
      { option: "batch", capacity },
    );
  const ttftMs = stepTime({
    ...worker,
    batch: {
      prefill: [{ sequences: batch, newTokens: inputTokens - prefixTokens, pastTokens: prefixTokens }],
    },
  });
  let total = 0;
  const samples = Math.min(16, Math.max(1, outputTokens - 1));
  for (let sample = 0; sample < samples; sample++)
    total += stepTime({
      ...worker,
      batch: {
        decode: { sequences: batch, contextTokens: inputTokens + ((sample + 0.5) / samples) * outputTokens },
      },
    });
  const tpotMs = total / samples;
  const requestMs = ttftMs + tpotMs * Math.max(0, outputTokens - 1);
  return {
    ttftMs,
    tpotMs,
    requestMs,
    requestsPerSecond: (batch * worker.parallelism.data * 1000) / requestMs,
    runningPerRank: batch,
    capacityPerRank: capacity,
    isSaturated: false,
  };
}

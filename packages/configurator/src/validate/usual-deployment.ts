import { architectureOf, gpusOf, hasExperts } from "@stator/simulator/performance-model";
import type { DisaggregatedSpec, WorkerSpec } from "../serving/predict.ts";
import { predictDisaggregated } from "../serving/predict.ts";
import type { MeasuredRow } from "./measured-row.ts";

/** Share of the time that a balanced deployment's prefill workers are busy, at most. */
const balancedPrefillLoad = 0.85;

/** Requests in flight per decode worker past which recipes split attention by sequences instead of heads. */
const attentionDataAbove = { short: 170, long: 80 };

/** Inputs from which a prompt counts as long. */
const longInputTokens = 4096;

/** Requests in flight per attention rank that one wide decode worker holds in recipes. */
const sequencesPerRank = 1024;

/**
 * What a row that names no worker counts most likely ran: published recipes (InferenceX, srt-slurm) give low concurrency
 * several tensor-parallel decode workers with the same number of requests each, high concurrency one wide worker whose
 * attention is data parallel, and as many prefill workers as keep up.
 */
export function usualDeployment(
  row: MeasuredRow,
  prefill: WorkerSpec,
  decode: WorkerSpec,
  concurrency: number,
): DisaggregatedSpec {
  const gpus = gpusOf(decode.parallelism);
  const narrow = narrowWorkers(decode, gpus, concurrency);
  const limit = attentionDataAbove[row.inputTokens < longInputTokens ? "short" : "long"];
  const isWide =
    decode.parallelism.data > 1 ||
    (hasExperts(decode.model) && concurrency / (row.decode?.workers ?? narrow) > limit);
  const parallelism =
    isWide && decode.parallelism.data === 1
      ? { tensor: 1, pipeline: 1, data: gpus, expertTensor: 1, expert: gpus }
      : decode.parallelism;
  const decodeWorkers =
    row.decode?.workers ?? (isWide ? Math.ceil(concurrency / (gpus * sequencesPerRank)) : narrow);
  const spec = {
    prefill,
    decode: { ...decode, parallelism },
    decodeWorkers,
    decodeBatch: Math.max(1, concurrency / (decodeWorkers * parallelism.data)),
  };
  let prefillWorkers = row.prefill?.workers ?? 1;
  if (row.prefill?.workers === undefined)
    while (
      prefillWorkers < 32 &&
      predictDisaggregated({ ...spec, prefillWorkers }, row).prefillLoad > balancedPrefillLoad
    )
      prefillWorkers += 1;
  return { ...spec, prefillWorkers };
}

// Recipes choose concurrencies that every decode worker gets an equal share of.
function narrowWorkers({ system }: WorkerSpec, gpus: number, concurrency: number): number {
  const usual = usualNarrowWorkers(gpus, architectureOf(system) === "hopper");
  return Math.min(concurrency, usual.find((workers) => concurrency % workers === 0) ?? usual[0] ?? 1);
}

function usualNarrowWorkers(gpus: number, isHopper: boolean): readonly number[] {
  if (gpus <= 4) return [5, 4, 3];
  if (gpus >= 16) return [3, 2, 1];
  return isHopper ? [9, 7, 6, 5, 3] : [4, 5, 3, 7, 6];
}

import { readNpz, writeNpz } from "./npz.ts";
import { parseProfile, type Profile } from "./profile.ts";

/** Dynamo's pre-deployment profile: one npz file for each role. */
export interface DynamoProfileFiles {
  readonly prefill: Uint8Array;
  readonly decode: Uint8Array;
}

export interface DynamoProfileOptions {
  /** GPUs of one worker; the files say only throughput per GPU. Default 1. */
  readonly prefillGpus?: number;
  readonly decodeGpus?: number;
}

/**
 * Reads Dynamo's keys: `prefill_isl`, `prefill_ttft`; `x_kv_usage`, `y_context_length`, `z_itl`, `max_kv_tokens`.
 *
 * @throws PlannerError `PLANNER_PROFILE_INVALID`
 */
export function profileFromDynamo(files: DynamoProfileFiles, options: DynamoProfileOptions = {}): Profile {
  const prefill = readNpz(files.prefill);
  const decode = readNpz(files.decode);
  return parseProfile({
    version: 1,
    source: "Dynamo's profiler",
    prefill: {
      gpusPerWorker: options.prefillGpus ?? 1,
      points: (prefill["prefill_isl"] ?? []).map((inputTokens, i) => ({
        inputTokens,
        ttftMs: prefill["prefill_ttft"]?.[i],
      })),
    },
    decode: {
      gpusPerWorker: options.decodeGpus ?? 1,
      maxKvTokens: decode["max_kv_tokens"]?.[0],
      points: (decode["x_kv_usage"] ?? []).map((kvUsage, i) => ({
        kvUsage,
        contextTokens: decode["y_context_length"]?.[i],
        itlMs: decode["z_itl"]?.[i],
      })),
    },
  });
}

/** Writes the same keys, with throughput in tokens per second and GPU as Dynamo computes it. */
export function profileToDynamo({ prefill, decode }: Profile): DynamoProfileFiles {
  return {
    prefill: writeNpz({
      prefill_isl: prefill.points.map((point) => point.inputTokens),
      prefill_ttft: prefill.points.map((point) => point.ttftMs),
      prefill_thpt_per_gpu: prefill.points.map(
        (point) => (point.inputTokens / point.ttftMs / prefill.gpusPerWorker) * 1000,
      ),
    }),
    decode: writeNpz({
      x_kv_usage: decode.points.map((point) => point.kvUsage),
      y_context_length: decode.points.map((point) => point.contextTokens),
      z_itl: decode.points.map((point) => point.itlMs),
      z_thpt_per_gpu: decode.points.map(
        (point) =>
          (((point.kvUsage * decode.maxKvTokens) / point.contextTokens / point.itlMs) * 1000) /
          decode.gpusPerWorker,
      ),
      max_kv_tokens: [decode.maxKvTokens],
    }),
  };
}

import { sequenceCapacity, stepTime } from "@stator/simulator/performance-model";
import type { WorkerGroup } from "../../search/candidate.ts";
import type { Target, WorkloadOptions } from "../../target.ts";

/** What `stator profile` would measure of these workers, by the performance model: the planner's `profile.json`. */
export function predictedProfile(
  target: Target,
  { inputTokens, outputTokens }: WorkloadOptions,
  prefill: WorkerGroup,
  decode: WorkerGroup,
): object {
  const prompts = [1 / 8, 1 / 4, 1 / 2, 1, 2].map((share) => Math.round(inputTokens * share));
  const contexts = [inputTokens / 2, inputTokens, inputTokens + outputTokens].map(Math.round);
  const worker = { ...target, parallelism: decode.parallelism };
  const tokens = inputTokens + outputTokens;
  const tokensPerRank = sequenceCapacity(worker, tokens) * tokens;
  return {
    version: 1,
    model: target.model.name,
    source: `predicted by the performance model for ${target.system.name}`,
    prefill: {
      gpusPerWorker: prefill.gpus,
      points: prompts.map((length) => ({
        inputTokens: length,
        ttftMs: rounded(
          stepTime({
            ...target,
            parallelism: prefill.parallelism,
            batch: { prefill: [{ sequences: 1, newTokens: length, pastTokens: 0 }] },
          }),
        ),
      })),
    },
    decode: {
      gpusPerWorker: decode.gpus,
      maxKvTokens: tokensPerRank * decode.parallelism.data,
      points: [0.1, 0.3, 0.5, 0.7, 0.9].flatMap((kvUsage) =>
        contexts.map((contextTokens) => ({
          kvUsage,
          contextTokens,
          itlMs: rounded(
            stepTime({
              ...worker,
              batch: {
                decode: {
                  sequences: Math.max(1, Math.round((kvUsage * tokensPerRank) / contextTokens)),
                  contextTokens,
                },
              },
            }),
          ),
        })),
      ),
    },
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

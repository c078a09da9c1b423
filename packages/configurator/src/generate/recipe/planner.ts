import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import { sequenceCapacity, stepTime } from "@stator/simulator/performance-model";
import type { WorkerGroup } from "../../search/candidate.ts";
import type { Target } from "../../target.ts";
import { nodesOf } from "../nodes.ts";
import type { Recipe } from "./schema.ts";

/** `planner.yaml` and `profile.json` of a recipe with prefill apart; the profile is the performance model's. */
export function plannerFiles(
  recipe: Recipe,
  layout: Layout,
  target: Target,
  groups: readonly WorkerGroup[],
): Readonly<Record<string, string>> | undefined {
  const prefill = groups.find((group) => group.role === "prefill");
  const decode = groups.find((group) => group.role === "decode");
  if (prefill === undefined || decode === undefined) return undefined;
  const workload = (group: WorkerGroup): object => ({
    kind: nodesOf(group, target.system.gpusPerNode) > 1 ? "LeaderWorkerSet" : "Deployment",
    name: `${layout.namespace}-${group.role}`,
  });
  return {
    "planner.yaml": stringify({
      profile: "profile.json",
      slo: { ttftMs: recipe.slo.ttftMs, itlMs: recipe.slo.tpotMs },
      limits: {
        graph: "disaggregated",
        gpus: recipe.gpus,
        minimum: { prefill: 1, decode: 1 },
      },
      metrics: { urls: [`http://${layout.namespace}/metrics`], model: recipe.model },
      // Weights take minutes to load.
      startupSeconds: 600,
      scaler: {
        kind: "kubernetes",
        namespace: layout.namespace,
        prefill: workload(prefill),
        decode: workload(decode),
      },
    }),
    "profile.json": `${JSON.stringify(predictedProfile(recipe, target, prefill, decode), undefined, 2)}\n`,
  };
}

function predictedProfile(recipe: Recipe, target: Target, prefill: WorkerGroup, decode: WorkerGroup): object {
  const { inputTokens, outputTokens } = recipe.workload;
  const prompts = [1 / 8, 1 / 4, 1 / 2, 1, 2].map((share) => Math.round(inputTokens * share));
  const contexts = [inputTokens / 2, inputTokens, inputTokens + outputTokens].map(Math.round);
  const worker = { ...target, parallelism: decode.parallelism };
  const tokens = inputTokens + outputTokens;
  const tokensPerRank = sequenceCapacity(worker, tokens) * tokens;
  const rounded = (ms: number): number => Math.round(ms * 100) / 100;
  return {
    version: 1,
    model: recipe.model,
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

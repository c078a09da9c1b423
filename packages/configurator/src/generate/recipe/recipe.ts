import { stringify } from "yaml";
import { findModel, parallelism } from "@stator/simulator/performance-model";
import type { ModelSpec } from "@stator/simulator/performance-model";
import { configuratorError } from "../../configurator-error.ts";
import type { Candidate } from "../../search/candidate.ts";
import { meets, workerGroup } from "../../search/candidate.ts";
import { estimate } from "../../estimate.ts";
import type { Estimate } from "../../estimate.ts";
import { resolveTarget } from "../../target.ts";
import { benchmarkScript } from "../benchmark.ts";
import { partsOf } from "../generate.ts";
import type { GeneratedFile } from "../generate.ts";
import type { RoleOverrides } from "../engines/overrides.ts";
import { plannerFiles } from "../planner/planner-files.ts";
import { kustomizeFiles } from "./kustomize.ts";
import { launchScripts } from "./launch.ts";
import { recipePools } from "./pools.ts";
import { recipeReadme } from "./readme.ts";
import { localRecipeFiles } from "./local-recipe.ts";
import type { LocalRecipe, Recipe, RecipeWorker } from "./schema.ts";

/**
 * The folder of a recipe: layout, graph, engines' files, launch scripts, a Kustomize base with overlays, a benchmark and
 * a page.
 *
 * @throws ConfiguratorError `CONFIGURATOR_OPTION_INVALID` when its workers do not add up to its GPUs; what `estimate` throws.
 */
export function recipeFiles(recipe: Recipe | LocalRecipe): GeneratedFile[] {
  if (recipe.engine === "llama") return localRecipeFiles(recipe);
  const model = withExperts(findModel(recipe.model), recipe.physicalExperts);
  const options = {
    model,
    system: recipe.system,
    backend: recipe.engine,
    ...(recipe.quantization === undefined ? {} : { quantization: recipe.quantization }),
  };
  const target = resolveTarget(options);
  const groups = recipe.workers.map((worker) =>
    workerGroup(worker.role, worker.count, split(worker), worker.batch),
  );
  const gpus = groups.reduce((sum, group) => sum + group.gpus * group.count, 0);
  if (gpus !== recipe.gpus)
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `${recipe.title}: its workers take ${gpus} GPUs, not ${recipe.gpus}`,
      { gpus },
    );
  const points = operatingPoints(recipe, options);
  const point = points.find((estimated) => meets(estimated, recipe.slo)) ?? points.at(-1);
  if (point === undefined) throw new RangeError("a recipe has at least one operating point");
  const candidate: Candidate = {
    mode: groups.length > 1 ? "disagg" : "agg",
    workers: groups,
    gpusUsed: gpus,
    requestsPerSecond: point.requestsPerSecond,
    tokensPerSecondPerGpu: point.tokensPerSecondPerGpu,
    tokensPerSecondPerUser: point.tokensPerSecondPerUser,
    ttftMs: point.ttftMs,
    tpotMs: point.tpotMs,
    requestMs: point.requestMs,
    concurrency: point.concurrency,
    transferMs: point.transferMs ?? 0,
    isSaturated: point.isSaturated,
  };
  const { layout, files, manifests } = partsOf(candidate, target, recipe.workload, {
    limits: recipe.slo,
    overrides: overridesOf(recipe.workers),
    ...(recipe.engineVersion === undefined ? {} : { engineVersion: recipe.engineVersion }),
  });
  const gpusPerNode = target.system.gpusPerNode;
  const pools = recipePools(groups, gpusPerNode);
  const planner =
    groups.length > 1
      ? plannerFiles({
          layout,
          target,
          workload: recipe.workload,
          groups,
          gpus: recipe.gpus,
          slo: recipe.slo,
        })
      : [];
  return [
    { name: "layout.yaml", text: stringify(layout) },
    ...files,
    ...launchScripts({ layout, model: recipe.model, backend: recipe.engine, pools, gpusPerNode }),
    { name: "benchmark.sh", text: benchmarkScript(candidate, target, recipe.workload) },
    ...kustomizeFiles(layout, manifests, recipe.frontends, planner),
    {
      name: "README.md",
      text: recipeReadme({ recipe, pools, gpusPerNode, points, name: layout.namespace }),
    },
  ];
}

/** An estimate and the requests in flight that it stands for. */
export type OperatingPoint = Estimate & { readonly concurrency: number };

/** Estimates from the engines' full batch down by halves, so that the first within the SLO is the best. */
function operatingPoints(
  recipe: Recipe,
  options: Pick<Parameters<typeof estimate>[0], "model" | "system" | "backend" | "quantization">,
): OperatingPoint[] {
  const last = recipe.workers.at(-1);
  const first = recipe.workers[0];
  if (first === undefined || last === undefined) return [];
  const points: OperatingPoint[] = [];
  for (let batch = last.batch; batch >= 1; batch = Math.floor(batch / 2)) {
    const estimated = estimate({
      ...options,
      ...recipe.workload,
      mode: first === last ? "agg" : "disagg",
      parallelism: split(last),
      prefillParallelism: split(first),
      prefillWorkers: first.count,
      decodeWorkers: last.count,
      batch,
    });
    // An aggregated estimate is of one worker.
    const copies = first === last ? last.count : 1;
    points.push({
      ...estimated,
      gpus: estimated.gpus * copies,
      requestsPerSecond: estimated.requestsPerSecond * copies,
      tokensPerSecond: estimated.tokensPerSecond * copies,
      concurrency: batch * (last.parallelism.data ?? 1) * last.count,
    });
  }
  return points;
}

function split({ parallelism: given }: RecipeWorker): ReturnType<typeof parallelism> {
  return parallelism({
    tensor: given.tensor ?? 1,
    pipeline: given.pipeline ?? 1,
    data: given.data ?? 1,
    expert: given.expert ?? 1,
  });
}

/** Redundant copies are experts to whoever splits them; a token visits as many as before. */
function withExperts(model: ModelSpec, experts: number | undefined): ModelSpec {
  if (experts === undefined) return model;
  return {
    ...model,
    layers: model.layers.map((layer) =>
      layer.feedForward.kind === "experts"
        ? { ...layer, feedForward: { ...layer.feedForward, experts } }
        : layer,
    ),
  };
}

function overridesOf(workers: readonly RecipeWorker[]): RoleOverrides {
  return Object.fromEntries(
    workers.map(({ role, flags, config, environment }) => [
      role,
      {
        ...(flags === undefined ? {} : { flags }),
        ...(config === undefined ? {} : { config }),
        ...(environment === undefined ? {} : { environment }),
      },
    ]),
  );
}

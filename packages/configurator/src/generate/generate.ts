import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import { architectureOf } from "@stator/simulator/performance-model";
import type { Candidate, Limits } from "../search/candidate.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import { benchmarkScript } from "./benchmark.ts";
import { commandOf, defaultEngineVersions } from "./engines/engine-command.ts";
import { engineSettings } from "./engines/engine-settings.ts";
import { graphSource } from "./graph.ts";
import { kubernetesManifests, writeManifests } from "./kubernetes/manifests.ts";
import type { ManifestFile } from "./kubernetes/manifests.ts";
import { layoutOf } from "./layout.ts";
import { nodesOf, spreadOverNodes } from "./engines/nodes.ts";
import type { RoleOverrides } from "./engines/overrides.ts";
import { mergeConfig } from "./engines/overrides.ts";
import { plannerFiles } from "./planner/planner-files.ts";
import { shellScript } from "./shell.ts";
import { trtllmConfig, writeTrtllmYaml } from "./engines/trtllm.ts";

/** A file to write: its name relative to the output folder and its text. */
export interface GeneratedFile {
  readonly name: string;
  readonly text: string;
}

export interface GenerateFilesOptions {
  readonly limits?: Limits;
  /** Engine release to write for. Default: the newest that generators know. */
  readonly engineVersion?: string;
  /** Container image of the engine in Kubernetes manifests. Default: the engine's public image at that release. */
  readonly image?: string;
  /** Engine flags, TensorRT-LLM keys and environment beyond what the layout implies, by role. */
  readonly overrides?: RoleOverrides;
}

/** Where no limit was given, the planner keeps what the layout was predicted to do, with so much room. */
const unstatedSlack = 1.5;

/**
 * Everything to run a layout: `layout.yaml`, `graph.ts`, one start script per worker group (with TensorRT-LLM its YAML),
 * Kubernetes manifests, a benchmark script for the predicted operating point and what the planner needs to scale it.
 */
export function filesOf(
  candidate: Candidate,
  target: Target,
  workload: WorkloadOptions,
  options: GenerateFilesOptions = {},
): GeneratedFile[] {
  const { layout, files, manifests } = partsOf(candidate, target, workload, options);
  return [
    { name: "layout.yaml", text: stringify(layout) },
    ...files,
    {
      name: "kubernetes.yaml",
      text: writeManifests(manifests.flatMap((file) => file.documents)),
    },
    { name: "benchmark.sh", text: benchmarkScript(candidate, target, workload) },
    ...plannerFiles({
      layout,
      target,
      workload,
      groups: candidate.workers,
      gpus: candidate.gpusUsed,
      slo: {
        ttftMs: options.limits?.ttftMs ?? candidate.ttftMs * unstatedSlack,
        tpotMs: options.limits?.tpotMs ?? candidate.tpotMs * unstatedSlack,
      },
    }),
  ];
}

export interface DeploymentParts {
  readonly layout: Layout;
  /** `graph.ts`, the start scripts and the engines' own files. */
  readonly files: readonly GeneratedFile[];
  readonly manifests: readonly ManifestFile[];
}

/** What a deployment consists of, before it is laid out in files. */
export function partsOf(
  candidate: Candidate,
  target: Target,
  workload: WorkloadOptions,
  options: GenerateFilesOptions = {},
): DeploymentParts {
  const version = options.engineVersion ?? defaultEngineVersions[target.backend];
  const layout = layoutOf(candidate, target, workload, options.limits, options.overrides);
  const files: GeneratedFile[] = [{ name: "graph.ts", text: graphSource(candidate, target) }];
  candidate.workers.forEach((group, index) => {
    const settings = engineSettings(group, candidate.mode, target, workload);
    const overrides = options.overrides?.[group.role];
    const base =
      group.role === "both"
        ? candidate.workers.length === 1
          ? "aggregated"
          : `aggregated-${index + 1}`
        : group.role;
    const { command, environment } = commandOf(target.backend, settings, version, overrides);
    const nodes = nodesOf(group, target.system.gpusPerNode);
    files.push({
      name: `${base}.sh`,
      text: shellScript(
        spreadOverNodes(target.backend, command, group, nodes).map((word) =>
          word === "aggregated.yaml" ? `${base}.yaml` : word,
        ),
        environment,
        group,
        nodes,
      ),
    });
    if (target.backend === "trtllm") {
      const expert = target.model.layers
        .map((layer) => layer.feedForward)
        .find((block) => block.kind === "experts");
      const experts = {
        count: expert?.kind === "experts" ? expert.experts : 0,
        isBlackwell: architectureOf(target.system) === "blackwell",
      };
      const config = mergeConfig({ ...trtllmConfig(settings, experts, version) }, overrides?.config);
      files.push({ name: `${base}.yaml`, text: writeTrtllmYaml(config) });
    }
  });
  const manifests = kubernetesManifests(target, layout, files, {
    version,
    ...(options.image === undefined ? {} : { image: options.image }),
  });
  return { layout, files, manifests };
}

import { stringify } from "yaml";
import { architectureOf } from "@stator/simulator/performance-model";
import type { Candidate, Limits } from "../search/candidate.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import { benchmarkScript } from "./benchmark.ts";
import { commandOf, defaultEngineVersions } from "./engine-command.ts";
import { engineSettings } from "./engine-settings.ts";
import { graphSource } from "./graph.ts";
import { kubernetesManifests } from "./kubernetes.ts";
import { layoutOf } from "./layout.ts";
import { shellScript } from "./shell.ts";
import { trtllmConfig, writeTrtllmYaml } from "./trtllm.ts";

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
}

/**
 * Everything to run a layout: `layout.yaml`, `graph.ts`, one start script per worker group (with TensorRT-LLM its YAML),
 * Kubernetes manifests and a benchmark script for the predicted operating point.
 */
export function filesOf(
  candidate: Candidate,
  target: Target,
  workload: WorkloadOptions,
  options: GenerateFilesOptions = {},
): GeneratedFile[] {
  const version = options.engineVersion ?? defaultEngineVersions[target.backend];
  const layout = layoutOf(candidate, target, workload, options.limits);
  const files: GeneratedFile[] = [
    { name: "layout.yaml", text: stringify(layout) },
    { name: "graph.ts", text: graphSource(candidate, target) },
  ];
  candidate.workers.forEach((group, index) => {
    const settings = engineSettings(group, candidate.mode, target, workload);
    const base =
      group.role === "both"
        ? candidate.workers.length === 1
          ? "aggregated"
          : `aggregated-${index + 1}`
        : group.role;
    const { command, environment } = commandOf(target.backend, settings, version);
    files.push({
      name: `${base}.sh`,
      text: shellScript(
        command.map((word) => (word === "aggregated.yaml" ? `${base}.yaml` : word)),
        environment,
        group,
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
      files.push({ name: `${base}.yaml`, text: writeTrtllmYaml(trtllmConfig(settings, experts, version)) });
    }
  });
  files.push({
    name: "kubernetes.yaml",
    text: kubernetesManifests(candidate, target, layout, files, {
      version,
      ...(options.image === undefined ? {} : { image: options.image }),
    }),
  });
  files.push({ name: "benchmark.sh", text: benchmarkScript(candidate, target, workload) });
  return files;
}

import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import type { Target } from "../../target.ts";
import type { GeneratedFile } from "../generate.ts";
import { frontendManifests } from "./frontend.ts";
import { mpiScript } from "./mpi.ts";
import { labelsOf, planes } from "./pod.ts";
import { workerWorkloads } from "./workers.ts";

export interface KubernetesOptions {
  /** Engine release. */
  readonly version: string;
  /** Engine image. Default: the public one of that release. */
  readonly image?: string;
}

/** Documents that belong together: a file of a Kustomize base. */
export interface ManifestFile {
  readonly name: string;
  readonly documents: readonly object[];
}

/**
 * What a deployment adds to the namespace: its files in a ConfigMap, a workload per pool, the frontend with its Service,
 * and a PodDisruptionBudget for each. Redis, NATS, accounts and claims are the namespace's own (`examples/recipes/kubernetes`).
 */
export function kubernetesManifests(
  target: Target,
  layout: Layout,
  files: readonly GeneratedFile[],
  options: KubernetesOptions,
): ManifestFile[] {
  const name = layout.namespace;
  const pools = Object.entries(layout.models[target.model.name]?.pools ?? {});
  const isWide = pools.some(([, pool]) => (pool.gpusPerReplica ?? 1) > target.system.gpusPerNode);
  const workers = workerWorkloads({
    name,
    target,
    layout,
    version: options.version,
    ...(options.image === undefined ? {} : { image: options.image }),
    scriptOf: (pool) => `${pool.replace(/^workers/, "aggregated")}.sh`,
  });
  const scripts = files.filter((file) => isForEngines(file.name));
  return assemble(layout, workers, {
    ...Object.fromEntries(scripts.map((file) => [file.name, file.text])),
    ...(isWide && target.backend === "trtllm" ? { "mpi.sh": mpiScript } : {}),
  });
}

/** Files of a base: the ConfigMap of the layout and `data`, the workers, the frontend and the disruption budgets. */
export function assemble(
  layout: Layout,
  workers: readonly object[],
  data: Readonly<Record<string, string>> = {},
): ManifestFile[] {
  const name = layout.namespace;
  const inCluster: Layout = { ...layout, planes: { ...layout.planes, ...planes } };
  const configuration = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `${name}-files`, labels: labelsOf(name, "configuration") },
    data: { "kubernetes-layout.yaml": stringify(inCluster), ...data },
  };
  const pools = Object.values(layout.models).flatMap((model) => Object.keys(model.pools));
  const budgets = [...pools, "frontend"].map((component) => ({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: `${name}-${component}`, labels: labelsOf(name, component) },
    spec: { maxUnavailable: 1, selector: { matchLabels: labelsOf(name, component) } },
  }));
  return [
    { name: "configuration.yaml", documents: [configuration] },
    { name: "workers.yaml", documents: workers },
    { name: "frontend.yaml", documents: frontendManifests(name, layout) },
    { name: "disruption-budgets.yaml", documents: budgets },
  ];
}

/** The documents as one YAML file. */
export function writeManifests(documents: readonly object[]): string {
  return documents
    .map((document) => stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 }))
    .join("---\n");
}

function isForEngines(file: string): boolean {
  return /\.(sh|yaml)$/.test(file) && file !== "layout.yaml" && file !== "benchmark.sh";
}

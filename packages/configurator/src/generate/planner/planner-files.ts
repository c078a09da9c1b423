import { stringify } from "yaml";
import type { Layout } from "@stator/core";
import type { WorkerGroup } from "../../search/candidate.ts";
import type { Target, WorkloadOptions } from "../../target.ts";
import type { GeneratedFile } from "../generate.ts";
import { nodesOf } from "../engines/nodes.ts";
import { predictedProfile } from "./predicted-profile.ts";

export interface PlannerFilesOptions {
  readonly layout: Layout;
  readonly target: Target;
  readonly workload: WorkloadOptions;
  readonly groups: readonly WorkerGroup[];
  /** Most GPUs that the planner may use. */
  readonly gpus: number;
  readonly slo: { readonly ttftMs: number; readonly tpotMs: number };
}

/**
 * `planner.yaml` and `profile.json`, with which `stator planner --config planner.yaml` scales the generated workloads on
 * Kubernetes. None for workers of several sizes that do the same: the planner changes the number of one kind.
 */
export function plannerFiles({
  layout,
  target,
  workload,
  groups,
  gpus,
  slo,
}: PlannerFilesOptions): GeneratedFile[] {
  const both = groups.length === 1 && groups[0]?.role === "both" ? groups[0] : undefined;
  const prefill = both ?? groups.find((group) => group.role === "prefill");
  const decode = both ?? groups.find((group) => group.role === "decode");
  if (prefill === undefined || decode === undefined) return [];
  const scaled = (group: WorkerGroup): object => ({
    kind: nodesOf(group, target.system.gpusPerNode) > 1 ? "LeaderWorkerSet" : "Deployment",
    name: `${layout.namespace}-${group.role === "both" ? "workers" : group.role}`,
  });
  const config = {
    profile: "profile.json",
    slo: { ttftMs: slo.ttftMs, itlMs: slo.tpotMs },
    limits: {
      graph: both ? "aggregated" : "disaggregated",
      gpus,
      minimum: { prefill: both ? 0 : 1, decode: 1 },
    },
    metrics: { urls: [`http://${layout.namespace}/metrics`], model: target.model.name },
    // Weights take minutes to load.
    startupSeconds: 600,
    scaler: {
      kind: "kubernetes",
      namespace: layout.namespace,
      ...(both ? {} : { prefill: scaled(prefill) }),
      decode: scaled(decode),
    },
  };
  const profile = predictedProfile(target, workload, prefill, decode);
  return [
    { name: "planner.yaml", text: stringify(config) },
    { name: "profile.json", text: `${JSON.stringify(profile, undefined, 2)}\n` },
  ];
}

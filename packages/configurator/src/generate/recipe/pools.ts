import type { WorkerGroup } from "../../search/candidate.ts";
import { nodesOf } from "../engines/nodes.ts";

/** A pool as launch scripts see it. */
export interface RecipePool {
  readonly name: string;
  readonly role: WorkerGroup["role"];
  readonly count: number;
  readonly gpus: number;
  /** Hosts of one worker. */
  readonly nodes: number;
  readonly label: string;
  /** Its engine's start script. */
  readonly script: string;
}

/** Named as the layout names them. */
export function recipePools(groups: readonly WorkerGroup[], gpusPerNode: number): RecipePool[] {
  return groups.map((group) => ({
    name: group.role === "both" ? "workers" : group.role,
    role: group.role,
    count: group.count,
    gpus: group.gpus,
    nodes: nodesOf(group, gpusPerNode),
    label: group.label,
    script: group.role === "both" ? "aggregated.sh" : `${group.role}.sh`,
  }));
}

/** True when all workers fit one host. */
export function fitsOneHost(pools: readonly RecipePool[], gpusPerNode: number): boolean {
  return pools.reduce((sum, pool) => sum + pool.count * pool.gpus, 0) <= gpusPerNode;
}

/** Hosts of the deployment; a worker shares its hosts only when all workers fit one. */
export function hostsOf(pools: readonly RecipePool[], gpusPerNode: number): number {
  return fitsOneHost(pools, gpusPerNode) ? 1 : pools.reduce((sum, pool) => sum + pool.count * pool.nodes, 0);
}

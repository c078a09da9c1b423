import type { Layout, LayoutPool } from "@stator/core";
import { parseLayout } from "@stator/core";
import type { Candidate, Limits, WorkerGroup } from "../search/candidate.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import { engineCommand } from "./engines/engine-command.ts";
import { nodesOf } from "./engines/nodes.ts";
import type { RoleOverrides } from "./engines/overrides.ts";

/** The deployment of a candidate as a `Layout`: pools, replicas, parallelism and the engines' own command lines. */
export function layoutOf(
  candidate: Candidate,
  target: Target,
  workload: WorkloadOptions,
  limits: Limits = {},
  overrides: RoleOverrides = {},
): Layout {
  const pools: Record<string, LayoutPool> = {};
  candidate.workers.forEach((group, index) => {
    const name =
      group.role === "both"
        ? candidate.workers.length === 1
          ? "workers"
          : `workers-${index + 1}`
        : group.role;
    pools[name] = poolOf(group, candidate, target, workload, overrides);
  });
  const slo = {
    ...(limits.ttftMs === undefined ? {} : { ttftMs: limits.ttftMs }),
    ...(limits.tpotMs === undefined ? {} : { itlMs: limits.tpotMs }),
  };
  return parseLayout({
    namespace: namespaceOf(target.model.name),
    models: { [target.model.name]: { pools, ...(Object.keys(slo).length > 0 ? { slo } : {}) } },
  });
}

/** A name that Kubernetes and discovery stores accept. */
export function namespaceOf(model: string): string {
  return (
    (model.split("/").at(-1) ?? model)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 50) || "model"
  );
}

function poolOf(
  group: WorkerGroup,
  candidate: Candidate,
  target: Target,
  workload: WorkloadOptions,
  overrides: RoleOverrides,
): LayoutPool {
  const { tensor, pipeline, data, expert } = group.parallelism;
  const { command, environment, connector, kvEvents } = engineCommand(
    group,
    candidate.mode,
    target,
    workload,
    undefined,
    overrides,
  );
  const isOneNode = nodesOf(group, target.system.gpusPerNode) === 1;
  return {
    role: group.role,
    replicas: group.count,
    gpusPerReplica: group.gpus,
    parallelism: { tensor, pipeline, data, expert },
    engine: {
      kind: target.backend,
      // A worker of several nodes is one script, started on each of them.
      command: isOneNode
        ? command.map(ownPorts)
        : ["sh", `${group.role === "both" ? "aggregated" : group.role}.sh`, "{port}"],
      ...(Object.keys(environment).length > 0
        ? { environment: isOneNode ? ownSideChannel(environment) : environment }
        : {}),
      ...(kvEvents === undefined
        ? {}
        : { kvEvents: isOneNode ? "tcp://127.0.0.1:{events}?replay={replay}" : kvEvents }),
      ...(connector === undefined ? {} : { connector }),
    },
  };
}

/** Replicas share a host: the supervisor finds ports for each. */
function ownPorts(word: string): string {
  return word.replace("tcp://*:5557", "tcp://*:{events}").replace("tcp://*:6557", "tcp://*:{replay}");
}

function ownSideChannel(environment: Readonly<Record<string, string>>): Record<string, string> {
  const name = "VLLM_NIXL_SIDE_CHANNEL_PORT";
  return name in environment ? { ...environment, [name]: "{side}" } : { ...environment };
}

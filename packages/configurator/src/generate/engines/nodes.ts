import type { BackendName } from "@stator/simulator/performance-model";
import type { WorkerGroup } from "../../search/candidate.ts";

/** Nodes that one worker of a group spans. */
export function nodesOf(group: WorkerGroup, gpusPerNode: number): number {
  return Math.max(1, Math.ceil(group.gpus / gpusPerNode));
}

/**
 * The argv of one node of a worker that spans several. The script fills in `{leader}` (the first node's address), `{node}`
 * (its own number), `{first}` (its first data-parallel rank) and `{headless}` (vLLM: nodes after the first serve no HTTP).
 * Sources: vLLM data-parallel deployment, SGLang multi-node, TensorRT-LLM `trtllm-llmapi-launch` (one MPI rank per GPU).
 */
export function spreadOverNodes(
  backend: BackendName,
  command: readonly string[],
  group: WorkerGroup,
  nodes: number,
): readonly string[] {
  if (nodes === 1) return command;
  if (backend === "trtllm") return ["trtllm-llmapi-launch", ...command];
  if (backend === "sglang")
    return [
      ...command,
      "--dist-init-addr",
      "{leader}:5000",
      "--nnodes",
      String(nodes),
      "--node-rank",
      "{node}",
    ];
  const { data } = group.parallelism;
  return [
    ...command,
    ...(data > 1
      ? [
          "--data-parallel-size-local",
          String(data / nodes),
          "--data-parallel-address",
          "{leader}",
          "--data-parallel-rpc-port",
          "13345",
          "--data-parallel-start-rank",
          "{first}",
        ]
      : ["--nnodes", String(nodes), "--node-rank", "{node}", "--master-addr", "{leader}"]),
    "{headless}",
  ];
}

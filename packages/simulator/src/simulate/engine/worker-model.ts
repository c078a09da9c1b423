import type { LayoutPool } from "@stator/core";
import type { BackendName } from "../../performance-model/engines/backend-terms.ts";
import { findModel } from "../../performance-model/models/find-model.ts";
import { kvBytesOfSequence, memoryUse } from "../../performance-model/split/memory.ts";
import type { ModelSpec } from "../../performance-model/models/model-spec.ts";
import { checkParallelism, gpusOf, parallelism } from "../../performance-model/split/parallelism.ts";
import { namedQuantization } from "../../performance-model/split/quantization.ts";
import { findSystem, type SystemSpec } from "../../performance-model/systems/system-spec.ts";
import { simulatorError } from "../../simulator-error.ts";
import { linearStepMs, modelledStepMs, type StepMs } from "./step-ms.ts";

/** How one worker computes, remembers and sends. */
export interface WorkerModel {
  /** Of one attention-data-parallel rank; ranks step independently of each other. */
  readonly stepMs: StepMs;
  /** Tokens of KV that one rank holds. */
  readonly kvTokens: number;
  /** Tokens of KV of one rank's host tier. Default 0: none. */
  readonly hostKvTokens?: number;
  /** Default 1. */
  readonly ranks?: number;
  /** Default 1. */
  readonly gpus?: number;
  /** KV of one token, over all GPUs of a rank. Default 131072. */
  readonly kvBytesPerToken?: number;
  /** What a worker can send, and receive, of KV. Default 50e9: one 400 Gb/s NIC. */
  readonly linkBytesPerSecond?: number;
  /** Host memory to device, per rank. Default 25e9. */
  readonly hostBytesPerSecond?: number;
  /** Requests that a rank runs at once. Default 256. */
  readonly sequences?: number;
  /** Tokens that a step computes at most. Default 8192. */
  readonly stepTokens?: number;
}

export interface ModelledWorkerOptions {
  /** A built-in name or a model's shapes. */
  readonly model: string | ModelSpec;
  readonly system: string | SystemSpec;
  /** Default `vllm`. */
  readonly backend?: BackendName;
  /** Default `auto`: as published. */
  readonly quantization?: string;
  /** GB of host memory per GPU for KV. Default 0. */
  readonly hostGb?: number;
}

/**
 * Workers by the performance model; a pool's `parallelism` splits the model.
 *
 * @throws SimulatorError for names it does not know and splits that cannot be; `SIMULATOR_MEMORY_EXCEEDED` when the weights leave no room for KV.
 */
export function modelledWorker(options: ModelledWorkerOptions): (pool: LayoutPool) => WorkerModel {
  const model = typeof options.model === "string" ? findModel(options.model) : options.model;
  const system = typeof options.system === "string" ? findSystem(options.system) : options.system;
  const quantization = namedQuantization(options.quantization ?? "auto", model, system);
  return (pool) => {
    const tensor = pool.parallelism?.tensor ?? pool.gpusPerReplica ?? 1;
    const split = parallelism({ tensor: Math.max(1, tensor), ...pool.parallelism });
    checkParallelism(split, model);
    const spec = { model, system, parallelism: split, quantization };
    const { kvCapacityTokens, weightBytes } = memoryUse(spec);
    if (kvCapacityTokens <= 0) {
      throw simulatorError(
        "SIMULATOR_MEMORY_EXCEEDED",
        `${model.name} takes ${Math.round(weightBytes / 1e9)} GB on each GPU of ${system.name} (${Math.round(system.memoryBytes / 1e9)} GB) and leaves no room for KV: raise parallelism.tensor or choose a smaller quantization.`,
      );
    }
    const lanes = split.tensor * split.pipeline;
    const kvBytesPerToken = (kvBytesOfSequence(spec, 8192) * lanes) / 8192;
    return {
      stepMs: modelledStepMs({ ...spec, backend: options.backend ?? "vllm" }),
      kvTokens: Math.min(kvCapacityTokens, 1e8),
      hostKvTokens: Math.floor(((options.hostGb ?? 0) * 1e9 * lanes) / kvBytesPerToken),
      ranks: split.data,
      gpus: gpusOf(split),
      kvBytesPerToken,
      linkBytesPerSecond: system.networkBytesPerSecond * lanes * 0.7,
      hostBytesPerSecond: system.pcieBytesPerSecond * lanes * 0.8,
    };
  };
}

/** Workers by what a layout says of its simulated engines, with that engine's defaults. */
export function simulatedEngineWorker(pool: LayoutPool): WorkerModel {
  const engine = pool.engine.kind === "simulated" ? pool.engine : undefined;
  if (engine === undefined) {
    throw simulatorError(
      "SIMULATOR_RUN_INVALID",
      `The layout's ${pool.role} pool runs ${pool.engine.kind}: say on what, with a model and a system (\`--model\`, \`--system\`).`,
    );
  }
  return {
    stepMs: linearStepMs({
      fixedMs: engine.stepMs ?? 10,
      msPerPrefillToken: 1000 / (engine.prefillTokensPerSecond ?? 10_000),
    }),
    kvTokens: (engine.kvBlocks ?? 16_384) * (engine.blockTokens ?? 64),
    sequences: engine.sequences ?? 256,
    gpus: pool.gpusPerReplica ?? 1,
  };
}

import { gpusOf, hasExperts } from "@stator/simulator/performance-model";
import { defaultStepTokens } from "../../serving/predict.ts";
import type { Candidate, WorkerGroup } from "../../search/candidate.ts";
import type { Target, WorkloadOptions } from "../../target.ts";

/** What every engine must be told, in no engine's words. Generators translate it; their tests read it back. */
export interface EngineSettings {
  readonly model: string;
  readonly role: "prefill" | "decode" | "both";
  /** Attention tensor parallelism. */
  readonly tensor: number;
  readonly pipeline: number;
  /** Attention data parallelism inside one worker. */
  readonly data: number;
  /** Groups of whole experts; 1 splits each expert by tensor. */
  readonly expert: number;
  /** Sequences at once per attention rank. */
  readonly maxSequences: number;
  /** Tokens of one step. */
  readonly maxStepTokens: number;
  /** Longest sequence served. */
  readonly contextTokens: number;
  readonly blockTokens: number;
  readonly kvCache: "auto" | "fp8";
  /** Share of the GPU memory (vLLM, SGLang) or of what is free after loading (TensorRT-LLM). */
  readonly memoryFraction: number;
  readonly hasPrefixCache: boolean;
  readonly needsRemoteCode: boolean;
}

/** Settings of one worker group of a candidate. */
export function engineSettings(
  group: WorkerGroup,
  mode: Candidate["mode"],
  target: Target,
  workload: WorkloadOptions,
): EngineSettings {
  const { tensor, pipeline, data, expert } = group.parallelism;
  const isWide = gpusOf(group.parallelism) > target.system.gpusPerNode;
  const contextTokens = roundUp(workload.inputTokens + workload.outputTokens + 256, 256);
  const maxSequences =
    group.role === "prefill"
      ? Math.max(8, Math.ceil(defaultStepTokens / workload.inputTokens))
      : roundUp(group.batch, 8);
  return {
    model: target.model.name,
    role: group.role,
    tensor,
    pipeline,
    data,
    expert: hasExperts(target.model) ? expert : 1,
    maxSequences,
    maxStepTokens:
      group.role === "decode"
        ? Math.max(2048, maxSequences)
        : Math.max(defaultStepTokens, mode === "disagg" ? roundUp(workload.inputTokens, 256) : 0),
    contextTokens: Math.min(contextTokens, target.model.contextTokens),
    blockTokens: target.backend === "trtllm" ? 32 : 64,
    kvCache: target.quantization.kvCache === "fp8" ? "fp8" : "auto",
    memoryFraction: isWide && group.role === "prefill" ? 0.8 : 0.9,
    hasPrefixCache: group.role !== "decode" || target.backend === "vllm",
    needsRemoteCode: /kimi|moonshot|minimax|deepseek/i.test(target.model.name),
  };
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

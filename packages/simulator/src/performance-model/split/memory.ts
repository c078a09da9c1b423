import type { ModelSpec } from "../models/model-spec.ts";
import { attentionParameters, layerCount } from "../models/model-spec.ts";
import type { Parallelism } from "./parallelism.ts";
import type { Quantization } from "./quantization.ts";
import { weightBytes } from "./quantization.ts";
import type { SystemSpec } from "../systems/system-spec.ts";

export interface MemoryOptions {
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly parallelism: Parallelism;
  readonly quantization: Quantization;
  /** Most tokens one step may compute. Default 8192. */
  readonly maxBatchTokens?: number;
  /** Share of the memory that the engine may use. Default 0.9, as vLLM's `--gpu-memory-utilization`. */
  readonly memoryFraction?: number;
}

/** Bytes on the fullest GPU of a worker. */
export interface MemoryUse {
  readonly weightBytes: number;
  readonly activationBytes: number;
  /** Communication buffers, CUDA context and graphs. */
  readonly runtimeBytes: number;
  /** What is left for KV; negative when the model does not fit. */
  readonly kvCapacityBytes: number;
  /** KV of one token on this GPU, over full-attention layers. */
  readonly kvBytesPerToken: number;
  /** Tokens of KV one attention rank can hold, when every sequence is long. */
  readonly kvCapacityTokens: number;
}

const gib = 2 ** 30;

/** Weight bytes per GPU. */
export function weightBytesPerGpu({ model, parallelism: split, quantization }: MemoryOptions): number {
  const embedding = (model.isEmbeddingTied ? 1 : 2) * model.hidden * model.vocabulary * 2;
  let bytes = embedding / split.tensor;
  for (const { count, attention, feedForward } of model.layers) {
    bytes +=
      (count * attentionParameters(attention, model.hidden) * weightBytes[quantization.dense]) /
      split.tensor /
      split.pipeline;
    if (feedForward.kind === "dense")
      bytes +=
        (count *
          (feedForward.gated ? 3 : 2) *
          model.hidden *
          feedForward.intermediate *
          weightBytes[quantization.dense]) /
        split.tensor /
        split.pipeline;
    else {
      const shared =
        (3 * model.hidden * feedForward.sharedIntermediate * weightBytes[quantization.dense]) / split.tensor;
      const routed =
        (3 *
          model.hidden *
          feedForward.intermediate *
          feedForward.experts *
          weightBytes[quantization.experts]) /
        (split.expert * split.expertTensor);
      bytes += (count * (shared + routed + model.hidden * feedForward.experts * 2)) / split.pipeline;
    }
  }
  return bytes;
}

/** KV bytes that one sequence of `tokens` holds on one GPU; windows and recurrent states stop growing. */
export function kvBytesOfSequence(
  { model, parallelism: split, quantization }: MemoryOptions,
  tokens: number,
): number {
  const width = quantization.kvCache === "fp8" ? 1 : 2;
  let bytes = 0;
  for (const { count, attention } of model.layers) {
    if (attention.kind === "grouped")
      bytes +=
        count *
        Math.min(tokens, attention.windowTokens ?? Infinity) *
        2 *
        Math.ceil(attention.kvHeads / split.tensor) *
        attention.headDim *
        width;
    else if (attention.kind === "latent")
      bytes +=
        count *
        tokens *
        ((attention.kvRank + attention.ropeHeadDim) * width +
          (attention.sparseTokens === undefined ? 0 : 132));
    else
      bytes +=
        (count * attention.valueHeads * attention.keyHeadDim * attention.valueHeadDim * 4) / split.tensor;
  }
  return bytes / split.pipeline;
}

/** Where the memory of a GPU goes. */
export function memoryUse(options: MemoryOptions): MemoryUse {
  const { model, system, parallelism: split, maxBatchTokens = 8192, memoryFraction = 0.9 } = options;
  const weights = weightBytesPerGpu(options);
  const activations = Math.max(0.07 * gib, maxBatchTokens * widestActivation(options) * 2);
  const gpus = split.tensor * split.data;
  const runtime = 2 * gib + (gpus > 1 ? 0.4 * gib : 0);
  const capacity = system.memoryBytes * memoryFraction - weights - activations - runtime;
  const far = 1 << 20;
  const perToken = (kvBytesOfSequence(options, 2 * far) - kvBytesOfSequence(options, far)) / far;
  return {
    weightBytes: weights,
    activationBytes: activations,
    runtimeBytes: runtime,
    kvCapacityBytes: capacity,
    kvBytesPerToken: perToken,
    kvCapacityTokens:
      perToken > 0
        ? Math.max(0, Math.floor(capacity / perToken))
        : layerCount(model) > 0 && capacity > 0
          ? Infinity
          : 0,
  };
}

/** Sequences of `tokens` each that fit one attention rank at once. */
export function sequenceCapacity(options: MemoryOptions, tokens: number): number {
  const { kvCapacityBytes } = memoryUse(options);
  return kvCapacityBytes <= 0 ? 0 : Math.floor(kvCapacityBytes / kvBytesOfSequence(options, tokens));
}

// Hidden state, its residual and the widest intermediate live at once.
function widestActivation({ model, parallelism: split }: MemoryOptions): number {
  let widest = 0;
  for (const { attention, feedForward } of model.layers) {
    const inner =
      feedForward.kind === "dense"
        ? (3 * feedForward.intermediate) / split.tensor
        : 2 *
          feedForward.expertsPerToken *
          Math.max(model.hidden, feedForward.intermediate / split.expertTensor) *
          Math.max(1, split.data / split.expert);
    const mixer =
      attention.kind === "grouped"
        ? ((attention.heads + 2 * attention.kvHeads) * attention.headDim) / split.tensor
        : (attention.kind === "latent" ? attention.heads * 448 : attention.valueHeads * 512) / split.tensor;
    widest = Math.max(widest, inner, mixer);
  }
  return 4 * model.hidden + widest;
}

import type { AttentionSpec, ModelSpec } from "../models/model-spec.ts";
import { attentionParameters, feedForwardParameters, layerCount } from "../models/model-spec.ts";
import { indexKeyBytes } from "../operations/attention/indexer.ts";
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
  const dense = weightBytes[quantization.dense];
  for (const { count, attention, feedForward } of model.layers) {
    const { fixed, router, expert } = feedForwardParameters(feedForward, model.hidden);
    const narrow = (attentionParameters(attention, model.hidden) + fixed - router) * dense;
    bytes += (count * (narrow / split.tensor + router * 2)) / split.pipeline;
    if (feedForward.kind === "experts")
      bytes +=
        (count * expert * feedForward.experts * weightBytes[quantization.experts]) /
        (split.expert * split.expertTensor * split.pipeline);
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
  for (const { count, attention } of model.layers)
    bytes += count * cacheBytes(attention, tokens, split.tensor, width);
  return bytes / split.pipeline;
}

function cacheBytes(attention: AttentionSpec, tokens: number, tensor: number, width: number): number {
  switch (attention.kind) {
    case "none":
      return 0;
    case "grouped":
      return (
        Math.min(tokens, attention.windowTokens ?? Infinity) *
        Math.ceil(attention.kvHeads / tensor) *
        (attention.headDim + attention.valueHeadDim) *
        width
      );
    case "latent":
      return (
        tokens *
        ((attention.kvRank + attention.ropeHeadDim) * width +
          (attention.sparseTokens === undefined ? 0 : indexKeyBytes))
      );
    case "compressed": {
      const { windowTokens, ratio, headDim, selectedEntries } = attention;
      const entries = ratio > 0 ? tokens / ratio : 0;
      const indexed = selectedEntries === undefined ? 0 : entries * indexKeyBytes;
      return (Math.min(tokens, windowTokens) + entries) * headDim * width + indexed;
    }
    case "linear":
      return (attention.valueHeads * attention.keyHeadDim * attention.valueHeadDim * 4) / tensor;
  }
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
        : feedForward.kind === "none"
          ? 0
          : 2 *
            feedForward.expertsPerToken *
            Math.max(feedForward.latent ?? model.hidden, feedForward.intermediate / split.expertTensor) *
            Math.max(1, split.data / split.expert);
    widest = Math.max(widest, inner, mixerWidth(attention) / split.tensor);
  }
  return 4 * model.hidden + widest;
}

function mixerWidth(attention: AttentionSpec): number {
  switch (attention.kind) {
    case "none":
      return 0;
    case "grouped":
      return (attention.heads + 2 * attention.kvHeads) * attention.headDim;
    case "latent":
      return attention.heads * 448;
    case "compressed":
      return attention.heads * attention.headDim * 2;
    case "linear":
      return attention.valueHeads * 512;
  }
}

import type { MatrixFormat } from "../split/quantization.ts";

/** A product `[rows, inner] × [inner, columns]`. */
export interface MatrixShape {
  readonly kind: "matrix";
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly format: MatrixFormat;
}

/** Batched small products of latent attention: `heads × [rows, inner] × [inner, columns]` in bf16. */
export interface HeadMatrixShape {
  readonly kind: "headMatrix";
  readonly rows: number;
  readonly heads: number;
  readonly inner: number;
  readonly columns: number;
}

export interface PrefillAttentionShape {
  readonly kind: "prefillAttention";
  readonly sequences: number;
  readonly newTokens: number;
  readonly pastTokens: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Query/key head size; latent attention has another for values. */
  readonly headDim: number;
  readonly valueHeadDim: number;
  readonly windowTokens: number | undefined;
  readonly isLatent: boolean;
  readonly format: "bf16" | "fp8";
  readonly kvCache: "bf16" | "fp8";
}

export interface DecodeAttentionShape {
  readonly kind: "decodeAttention";
  readonly sequences: number;
  readonly contextTokens: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueHeadDim: number;
  readonly windowTokens: number | undefined;
  readonly kvCache: "bf16" | "fp8";
}

/** Latent attention on the compressed cache, as decode runs it. */
export interface DecodeLatentShape {
  readonly kind: "decodeLatent";
  readonly sequences: number;
  readonly contextTokens: number;
  readonly heads: number;
  readonly kvRank: number;
  readonly ropeHeadDim: number;
  readonly kvCache: "bf16" | "fp8";
}

/** A recurrent mixer's update of its state. */
export interface LinearAttentionShape {
  readonly kind: "linearAttention";
  readonly prefillTokens: number;
  readonly decodeSequences: number;
  readonly heads: number;
  readonly keyHeadDim: number;
  readonly valueHeadDim: number;
}

/** The routed experts of one layer on one GPU. */
export interface ExpertsShape {
  readonly kind: "experts";
  /** Tokens of all ranks of the worker. */
  readonly tokens: number;
  readonly hidden: number;
  readonly intermediate: number;
  /** Products per expert: 3 with a gate, 2 without. */
  readonly matrices: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly expertTensor: number;
  readonly expert: number;
  readonly format: MatrixFormat;
}

export type CollectiveName = "allReduce" | "allGather" | "reduceScatter" | "allToAll" | "sendReceive";

/** Bytes are what one GPU contributes (allReduce, sendReceive, allToAll) or the whole gathered vector (others). */
export interface CollectiveShape {
  readonly kind: "collective";
  readonly collective: CollectiveName;
  readonly bytes: number;
  readonly gpus: number;
}

/** Norms, activations, rotary embedding, cache writes, sampling: bound by memory and launches. */
export interface ElementwiseShape {
  readonly kind: "elementwise";
  readonly bytes: number;
  readonly kernels: number;
}

export type OperationShape =
  | MatrixShape
  | HeadMatrixShape
  | PrefillAttentionShape
  | DecodeAttentionShape
  | DecodeLatentShape
  | LinearAttentionShape
  | ExpertsShape
  | CollectiveShape
  | ElementwiseShape;

/** One kind of kernel in a step and how often the step runs it. */
export interface Operation {
  readonly name: string;
  readonly count: number;
  readonly shape: OperationShape;
}

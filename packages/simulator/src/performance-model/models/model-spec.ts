/** How one layer attends. */
export interface GroupedAttention {
  readonly kind: "grouped";
  /** Query heads. */
  readonly heads: number;
  /** Key/value heads; equal to `heads` for MHA, 1 for MQA. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Tokens a query may look back; undefined means all. */
  readonly windowTokens: number | undefined;
  /** Every head also projects a multiplicative output gate (Qwen3-Next and later). */
  readonly gated: boolean;
}

/** Multi-head latent attention (DeepSeek-V2 and later): one compressed latent and one rope key per token. */
export interface LatentAttention {
  readonly kind: "latent";
  readonly heads: number;
  /** Rank of the query's down projection; 0 when queries are projected directly. */
  readonly queryRank: number;
  readonly kvRank: number;
  readonly nopeHeadDim: number;
  readonly ropeHeadDim: number;
  readonly valueHeadDim: number;
  /** Tokens an indexer leaves for each query (DeepSeek sparse attention); undefined means all. */
  readonly sparseTokens: number | undefined;
}

/** Gated delta net or another recurrent mixer: state of fixed size, no KV per token. */
export interface LinearAttention {
  readonly kind: "linear";
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyHeadDim: number;
  readonly valueHeadDim: number;
  readonly convolutionKernel: number;
}

export type AttentionSpec = GroupedAttention | LatentAttention | LinearAttention;

/** A gated feed-forward block. */
export interface DenseFeedForward {
  readonly kind: "dense";
  readonly intermediate: number;
  /** Gate and up projection (SwiGLU); false for the classic two-matrix block. */
  readonly gated: boolean;
}

export interface ExpertFeedForward {
  readonly kind: "experts";
  readonly experts: number;
  readonly expertsPerToken: number;
  readonly intermediate: number;
  /** Total intermediate width of the experts that every token visits; 0 for none. */
  readonly sharedIntermediate: number;
}

export type FeedForwardSpec = DenseFeedForward | ExpertFeedForward;

/** A run of equal layers. Order within the model is not kept: no estimate depends on it. */
export interface LayerGroup {
  readonly count: number;
  readonly attention: AttentionSpec;
  readonly feedForward: FeedForwardSpec;
}

/** What the performance model knows about a model: shapes only, never its name. */
export interface ModelSpec {
  /** For display and files; no estimate reads it. */
  readonly name: string;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly layers: readonly LayerGroup[];
  readonly isEmbeddingTied: boolean;
  /** Longest sequence the checkpoint was made for. */
  readonly contextTokens: number;
  /** How the checkpoint stores its weights, from its `quantization_config`. */
  readonly checkpoint: CheckpointFormat;
}

/** Formats in which checkpoints are published. */
export type CheckpointFormat = "bf16" | "fp8" | "fp8-block" | "nvfp4" | "mxfp4" | "int4" | "int8";

/** Layers in the model. */
export function layerCount(model: ModelSpec): number {
  return model.layers.reduce((sum, group) => sum + group.count, 0);
}

/** Whether any layer routes to experts. */
export function hasExperts(model: ModelSpec): boolean {
  return model.layers.some((group) => group.feedForward.kind === "experts");
}

/** Parameters of the whole model and those one token visits. */
export function parameterCount(model: ModelSpec): { total: number; active: number } {
  const embedding = model.hidden * model.vocabulary;
  let total = model.isEmbeddingTied ? embedding : 2 * embedding;
  let active = total;
  for (const { count, attention, feedForward } of model.layers) {
    const mixer = attentionParameters(attention, model.hidden);
    if (feedForward.kind === "dense") {
      const block = (feedForward.gated ? 3 : 2) * model.hidden * feedForward.intermediate;
      total += count * (mixer + block);
      active += count * (mixer + block);
    } else {
      const expert = 3 * model.hidden * feedForward.intermediate;
      const fixed =
        mixer + 3 * model.hidden * feedForward.sharedIntermediate + model.hidden * feedForward.experts;
      total += count * (fixed + expert * feedForward.experts);
      active += count * (fixed + expert * feedForward.expertsPerToken);
    }
  }
  return { total, active };
}

/** Weights of one attention block. */
export function attentionParameters(attention: AttentionSpec, hidden: number): number {
  if (attention.kind === "grouped") {
    const { heads, kvHeads, headDim } = attention;
    return hidden * headDim * (heads * (attention.gated ? 3 : 2) + 2 * kvHeads);
  }
  if (attention.kind === "linear") {
    const key = attention.keyHeads * attention.keyHeadDim;
    const value = attention.valueHeads * attention.valueHeadDim;
    return (
      hidden * (2 * key + 3 * value + 2 * attention.valueHeads) +
      attention.convolutionKernel * (2 * key + value)
    );
  }
  const { heads, queryRank, kvRank, nopeHeadDim, ropeHeadDim, valueHeadDim } = attention;
  const queryHeads = heads * (nopeHeadDim + ropeHeadDim);
  const query = queryRank > 0 ? queryRank * (hidden + queryHeads) : hidden * queryHeads;
  return (
    query +
    hidden * (kvRank + ropeHeadDim) +
    kvRank * heads * (nopeHeadDim + valueHeadDim) +
    hidden * heads * valueHeadDim
  );
}

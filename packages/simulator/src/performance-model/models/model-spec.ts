/** How one layer attends. */
export interface GroupedAttention {
  readonly kind: "grouped";
  /** Query heads. */
  readonly heads: number;
  /** Key/value heads; equal to `heads` for MHA, 1 for MQA. */
  readonly kvHeads: number;
  /** Size of queries and keys per head. */
  readonly headDim: number;
  /** Size of values per head; mostly the same. */
  readonly valueHeadDim: number;
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

/** DeepSeek-V4: one key/value head, a window of tokens beside entries that each stand for several earlier tokens. */
export interface CompressedAttention {
  readonly kind: "compressed";
  readonly heads: number;
  readonly headDim: number;
  readonly ropeHeadDim: number;
  readonly queryRank: number;
  /** The output is projected in so many groups to `outputRank` each, then to the hidden size. */
  readonly outputGroups: number;
  readonly outputRank: number;
  readonly windowTokens: number;
  /** Tokens that one entry stands for; 0 leaves only the window. */
  readonly ratio: number;
  /** Entries an indexer leaves for each query; undefined means all. */
  readonly selectedEntries: number | undefined;
}

/** Gated delta net, Mamba-2 or another recurrent mixer: state of fixed size, no KV per token. */
export interface LinearAttention {
  readonly kind: "linear";
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyHeadDim: number;
  readonly valueHeadDim: number;
  readonly convolutionKernel: number;
}

/** A layer without a mixer: models that were pruned, or that count a feed-forward block as a layer of its own. */
export interface NoBlock {
  readonly kind: "none";
}

export type AttentionSpec =
  GroupedAttention | LatentAttention | CompressedAttention | LinearAttention | NoBlock;

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
  /** Gate and up projection; false for two matrices per expert. */
  readonly gated: boolean;
  /** Width that routed experts work in where a projection narrows it; undefined for the hidden size. */
  readonly latent: number | undefined;
}

export type FeedForwardSpec = DenseFeedForward | ExpertFeedForward | NoBlock;

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
    const { fixed, expert } = feedForwardParameters(feedForward, model.hidden);
    const { experts, expertsPerToken } =
      feedForward.kind === "experts" ? feedForward : { experts: 0, expertsPerToken: 0 };
    total += count * (mixer + fixed + expert * experts);
    active += count * (mixer + fixed + expert * expertsPerToken);
  }
  return { total, active };
}

/** Weights of a feed-forward block: those every token meets (the router's apart in `router`), and those of one routed expert. */
export function feedForwardParameters(
  block: FeedForwardSpec,
  hidden: number,
): { readonly fixed: number; readonly router: number; readonly expert: number } {
  if (block.kind === "none") return { fixed: 0, router: 0, expert: 0 };
  const matrices = block.gated ? 3 : 2;
  if (block.kind === "dense") return { fixed: matrices * hidden * block.intermediate, router: 0, expert: 0 };
  const router = hidden * block.experts;
  const around = block.latent === undefined ? 0 : 2 * hidden * block.latent;
  return {
    fixed: matrices * hidden * block.sharedIntermediate + around + router,
    router,
    expert: matrices * (block.latent ?? hidden) * block.intermediate,
  };
}

/** Cache entries that a query of `tokens` context meets: its window and what stands for the rest. */
export function attendedEntries(
  { windowTokens, ratio, selectedEntries }: CompressedAttention,
  tokens: number,
): number {
  const compressed = ratio > 0 ? Math.min(tokens / ratio, selectedEntries ?? Infinity) : 0;
  return Math.min(tokens, windowTokens) + compressed;
}

/** Weights of one attention block. */
export function attentionParameters(attention: AttentionSpec, hidden: number): number {
  switch (attention.kind) {
    case "none":
      return 0;
    case "grouped": {
      const { heads, kvHeads, headDim, valueHeadDim } = attention;
      const query = heads * headDim * (attention.gated ? 2 : 1);
      return hidden * (query + heads * valueHeadDim + kvHeads * (headDim + valueHeadDim));
    }
    case "linear": {
      const key = attention.keyHeads * attention.keyHeadDim;
      const value = attention.valueHeads * attention.valueHeadDim;
      return (
        hidden * (2 * key + 3 * value + 2 * attention.valueHeads) +
        attention.convolutionKernel * (2 * key + value)
      );
    }
    case "compressed": {
      const { heads, headDim, queryRank, outputGroups, outputRank, ratio } = attention;
      const down = hidden * (queryRank + headDim * (ratio > 0 ? 3 : 1));
      return down + heads * headDim * (queryRank + outputRank) + hidden * outputGroups * outputRank;
    }
    case "latent": {
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
  }
}

import type { KvAxis } from "./kv-geometry.ts";

/** How an engine's cache lies, before models and ranks come in. */
export interface EngineLayout {
  /** Axes outside in, as `KvGeometry.order`. */
  readonly order: readonly KvAxis[];
  /** Tokens of a block that the engine starts with; most can be told otherwise. */
  readonly blockTokens: number;
}

const layout = (order: string, blockTokens: number): EngineLayout => ({
  order: order.split(" ") as KvAxis[],
  blockTokens,
});

/**
 * The layouts of the engines that KV comes from or goes to. Where an engine keeps a tensor for each layer, or K and V apart, its regions are taken end
 * to end in the order of `layer` and `kind`. MLA has one kind and one head, so its places in the order do not matter.
 *
 * After vLLM's `get_kv_cache_shape` of the FlashAttention, FlashInfer and MLA backends and its cross-layer option; SGLang `MHATokenToKVPool`,
 * `MLATokenToKVPool`; TensorRT-LLM `KVCacheManager` pools; LMCache memory formats; Dynamo KVBM.
 */
export const engineLayouts: Readonly<
  Record<
    | "vllmFlashAttention"
    | "vllmFlashAttentionHnd"
    | "vllmFlashInfer"
    | "vllmFlashInferHnd"
    | "vllmMla"
    | "vllmCrossLayer"
    | "sglang"
    | "tensorrtLlm"
    | "lmcacheChunk"
    | "lmcacheTokenMajor"
    | "kvbmContiguous"
    | "kvbmLayerSeparate"
    | "kvbmUniversal",
    EngineLayout
  >
> = {
  vllmFlashAttention: layout("layer kind block token head", 16),
  vllmFlashAttentionHnd: layout("layer kind block head token", 16),
  vllmFlashInfer: layout("layer block kind token head", 16),
  vllmFlashInferHnd: layout("layer block kind head token", 16),
  vllmMla: layout("layer block kind token head", 64),
  vllmCrossLayer: layout("block layer kind head token", 16),
  sglang: layout("layer kind block token head", 1),
  tensorrtLlm: layout("block layer kind head token", 32),
  lmcacheChunk: layout("block layer kind token head", 256),
  lmcacheTokenMajor: layout("block layer token kind head", 256),
  kvbmContiguous: layout("block layer kind token head", 16),
  kvbmLayerSeparate: layout("layer block kind token head", 16),
  kvbmUniversal: layout("block head layer kind token", 16),
};

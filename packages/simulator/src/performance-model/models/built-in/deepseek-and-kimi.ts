import type { HfConfig } from "../config/fields.ts";

const deepseekV3 = {
  hidden_size: 7168,
  num_hidden_layers: 61,
  num_attention_heads: 128,
  num_key_value_heads: 128,
  vocab_size: 129280,
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  intermediate_size: 18432,
  moe_intermediate_size: 2048,
  n_routed_experts: 256,
  num_experts_per_tok: 8,
  n_shared_experts: 1,
  first_k_dense_replace: 3,
  max_position_embeddings: 163840,
  quantization_config: { quant_method: "fp8", weight_block_size: [128, 128] },
};
const kimiK2 = {
  ...deepseekV3,
  num_attention_heads: 64,
  num_key_value_heads: 64,
  vocab_size: 163840,
  n_routed_experts: 384,
  first_k_dense_replace: 1,
  max_position_embeddings: 131072,
};
const kimiK25 = {
  text_config: {
    ...kimiK2,
    max_position_embeddings: 262144,
    quantization_config: {
      quant_method: "compressed-tensors",
      config_groups: { group_0: { weights: { num_bits: 4 } } },
    },
  },
};

const deepseekV4 = {
  qk_rope_head_dim: 64,
  head_dim: 512,
  num_key_value_heads: 1,
  o_lora_rank: 1024,
  n_shared_experts: 1,
  num_experts_per_tok: 6,
  sliding_window: 128,
  max_position_embeddings: 1048576,
  vocab_size: 129280,
  quantization_config: { quant_method: "mxfp4" },
};

/** The first two layers are alike; then every other one compresses finely (4) or coarsely (128). */
function alternating(first: number, layers: number): readonly number[] {
  return Array.from({ length: layers }, (_, layer) => (layer < 2 ? first : layer % 2 === 0 ? 4 : 128));
}

/** DeepSeek and Kimi: latent attention and its successor. */
export const deepseekAndKimi: Readonly<Record<string, HfConfig>> = {
  "deepseek-ai/DeepSeek-V3": deepseekV3,
  "deepseek-ai/DeepSeek-R1": deepseekV3,
  "deepseek-ai/DeepSeek-V3.1": deepseekV3,
  "deepseek-ai/DeepSeek-V3.2": { ...deepseekV3, index_topk: 2048 },
  "moonshotai/Kimi-K2": kimiK2,
  "moonshotai/Kimi-K2.5": kimiK25,
  "moonshotai/Kimi-K2.6": kimiK25,
  "deepseek-ai/DeepSeek-V4-Flash": {
    ...deepseekV4,
    hidden_size: 4096,
    num_hidden_layers: 43,
    num_attention_heads: 64,
    q_lora_rank: 1024,
    o_groups: 8,
    index_topk: 512,
    moe_intermediate_size: 2048,
    n_routed_experts: 256,
    compress_ratios: alternating(0, 43),
  },
  "deepseek-ai/DeepSeek-V4-Pro": {
    ...deepseekV4,
    hidden_size: 7168,
    num_hidden_layers: 61,
    num_attention_heads: 128,
    q_lora_rank: 1536,
    o_groups: 16,
    index_topk: 1024,
    moe_intermediate_size: 3072,
    n_routed_experts: 384,
    compress_ratios: alternating(128, 61),
  },
};

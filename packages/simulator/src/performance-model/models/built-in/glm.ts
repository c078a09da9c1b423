import type { HfConfig } from "../config/fields.ts";

const glm45 = {
  num_attention_heads: 96,
  num_key_value_heads: 8,
  head_dim: 128,
  vocab_size: 151552,
  num_experts_per_tok: 8,
  n_shared_experts: 1,
  max_position_embeddings: 131072,
};
const glm46 = {
  ...glm45,
  hidden_size: 5120,
  num_hidden_layers: 92,
  intermediate_size: 12288,
  moe_intermediate_size: 1536,
  n_routed_experts: 160,
  first_k_dense_replace: 3,
  max_position_embeddings: 202752,
};
const glm5 = {
  hidden_size: 6144,
  num_hidden_layers: 78,
  num_attention_heads: 64,
  num_key_value_heads: 64,
  vocab_size: 154880,
  q_lora_rank: 2048,
  kv_lora_rank: 512,
  qk_nope_head_dim: 192,
  qk_rope_head_dim: 64,
  v_head_dim: 256,
  index_topk: 2048,
  intermediate_size: 12288,
  moe_intermediate_size: 2048,
  n_routed_experts: 256,
  num_experts_per_tok: 8,
  n_shared_experts: 1,
  first_k_dense_replace: 3,
  max_position_embeddings: 202752,
};

/** GLM 4.5 to 5.1. */
export const glm: Readonly<Record<string, HfConfig>> = {
  "zai-org/GLM-4.5": {
    ...glm45,
    hidden_size: 5120,
    num_hidden_layers: 92,
    intermediate_size: 12288,
    moe_intermediate_size: 1536,
    n_routed_experts: 160,
    first_k_dense_replace: 3,
  },
  "zai-org/GLM-4.6": glm46,
  "zai-org/GLM-4.7": glm46,
  "zai-org/GLM-4.5-Air": {
    ...glm45,
    hidden_size: 4096,
    num_hidden_layers: 46,
    intermediate_size: 10944,
    moe_intermediate_size: 1408,
    n_routed_experts: 128,
    first_k_dense_replace: 1,
  },
  "zai-org/GLM-5": glm5,
  "zai-org/GLM-5.1": glm5,
};

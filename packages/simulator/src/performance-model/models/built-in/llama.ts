import type { HfConfig } from "../config/fields.ts";

const llama = { vocab_size: 128256, num_key_value_heads: 8, max_position_embeddings: 131072 };
const llama8b = {
  ...llama,
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  intermediate_size: 14336,
};
const llama70b = {
  ...llama,
  hidden_size: 8192,
  num_hidden_layers: 80,
  num_attention_heads: 64,
  intermediate_size: 28672,
};
const llama2 = { vocab_size: 32000, max_position_embeddings: 4096 };
const llama4 = {
  hidden_size: 5120,
  num_hidden_layers: 48,
  num_attention_heads: 40,
  num_key_value_heads: 8,
  head_dim: 128,
  intermediate_size: 8192,
  intermediate_size_mlp: 16384,
  num_experts_per_tok: 1,
  vocab_size: 202048,
  attention_chunk_size: 8192,
  no_rope_layer_interval: 4,
  max_position_embeddings: 1048576,
};

/** Llama 2 to 4. */
export const llamas: Readonly<Record<string, HfConfig>> = {
  "meta-llama/Llama-3.2-1B": {
    ...llama,
    hidden_size: 2048,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    head_dim: 64,
    intermediate_size: 8192,
    tie_word_embeddings: true,
  },
  "meta-llama/Llama-3.2-3B": {
    ...llama,
    hidden_size: 3072,
    num_hidden_layers: 28,
    num_attention_heads: 24,
    intermediate_size: 8192,
    tie_word_embeddings: true,
  },
  "meta-llama/Llama-3.1-8B": llama8b,
  "meta-llama/Llama-3.1-70B": llama70b,
  "meta-llama/Llama-3.3-70B": llama70b,
  "meta-llama/Llama-3.1-405B": {
    ...llama,
    hidden_size: 16384,
    num_hidden_layers: 126,
    num_attention_heads: 128,
    intermediate_size: 53248,
  },
  "meta-llama/Llama-2-7b": {
    ...llama2,
    hidden_size: 4096,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    intermediate_size: 11008,
  },
  "meta-llama/Llama-2-13b": {
    ...llama2,
    hidden_size: 5120,
    num_hidden_layers: 40,
    num_attention_heads: 40,
    intermediate_size: 13824,
  },
  "meta-llama/Llama-2-70b": {
    ...llama2,
    hidden_size: 8192,
    num_hidden_layers: 80,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    intermediate_size: 28672,
  },
  "meta-llama/Meta-Llama-3-8B": { ...llama8b, max_position_embeddings: 8192 },
  "meta-llama/Meta-Llama-3-70B": { ...llama70b, max_position_embeddings: 8192 },
  "meta-llama/Llama-4-Scout-17B-16E": {
    text_config: { ...llama4, num_local_experts: 16, interleave_moe_layer_step: 1 },
  },
  "meta-llama/Llama-4-Maverick-17B-128E": {
    text_config: { ...llama4, num_local_experts: 128, interleave_moe_layer_step: 2 },
  },
};

import { simulatorError } from "../../simulator-error.ts";
import { attentionOfLayer } from "./config/attention-of-layer.ts";
import { checkpointOfConfig } from "./config/checkpoint-of-config.ts";
import { feedForwardOfLayer } from "./config/feed-forward-of-layer.ts";
import { fieldsOf, record, string } from "./config/fields.ts";
import type { HfConfig } from "./config/fields.ts";
import type { AttentionSpec, FeedForwardSpec, ModelSpec } from "./model-spec.ts";

export type { HfConfig } from "./config/fields.ts";

/**
 * Reads shapes from a Hugging Face `config.json`: dense, grouped-query, mixture of experts, latent attention (DeepSeek-V3),
 * compressed attention (DeepSeek-V4), sliding window (also with heads of its own, MiMo), chunked attention (Llama 4),
 * gated delta nets (Qwen3-Next and later), Mamba-2 with one block per layer and latent experts (Nemotron-H), and models
 * pruned layer by layer (Nemotron Super and Ultra). Multimodal wrappers are unwrapped through `text_config`.
 *
 * @throws SimulatorError `SIMULATOR_MODEL_UNSUPPORTED` when a needed field is missing or makes no sense.
 */
export function modelFromConfig(config: HfConfig, options: { readonly name?: string } = {}): ModelSpec {
  const outer = config;
  const text = record(outer["text_config"]) ?? outer;
  const name = options.name ?? string(outer["_name_or_path"]) ?? string(text["model_type"]) ?? "model";
  const fields = fieldsOf(text, name);
  const { need, get } = fields;
  const hidden = need("hidden_size", "n_embd", "d_model");
  const count = layersOf(text) ?? need("num_hidden_layers", "n_layer", "num_layers");
  const vocabulary = need("vocab_size");
  if (![hidden, count, vocabulary].every((value) => Number.isInteger(value) && value > 0))
    throw simulatorError(
      "SIMULATOR_MODEL_UNSUPPORTED",
      `The config of ${name} has hidden_size ${hidden}, num_hidden_layers ${count}, vocab_size ${vocabulary}: all must be positive integers`,
      { model: name },
    );

  const groups = new Map<string, { count: number; attention: AttentionSpec; feedForward: FeedForwardSpec }>();
  for (let layer = 0; layer < count; layer++) {
    const attention = attentionOfLayer(fields, layer, hidden);
    const feedForward = feedForwardOfLayer(fields, layer, hidden);
    const key = JSON.stringify([attention, feedForward]);
    const group = groups.get(key);
    if (group) group.count += 1;
    else groups.set(key, { count: 1, attention, feedForward });
  }
  return {
    name,
    hidden,
    vocabulary,
    layers: [...groups.values()],
    isEmbeddingTied: (text["tie_word_embeddings"] ?? outer["tie_word_embeddings"]) === true,
    contextTokens: get(8192, "max_position_embeddings", "model_max_length", "n_positions"),
    checkpoint: checkpointOfConfig(
      record(outer["quantization_config"]) ?? record(text["quantization_config"]),
    ),
  };
}

// Per-layer lists say more than a count that some families leave out.
function layersOf(text: HfConfig): number | undefined {
  for (const key of ["layers_block_type", "block_configs"]) {
    const list = text[key];
    if (Array.isArray(list)) return list.length;
  }
  return string(text["hybrid_override_pattern"])?.length;
}

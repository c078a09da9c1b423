import { simulatorError } from "../../simulator-error.ts";
import type {
  AttentionSpec,
  CheckpointFormat,
  FeedForwardSpec,
  LayerGroup,
  ModelSpec,
} from "./model-spec.ts";

/** A Hugging Face `config.json`, parsed. Only the fields this file names are read. */
export type HfConfig = Readonly<Record<string, unknown>>;

/**
 * Reads shapes from a Hugging Face `config.json`: dense, grouped-query, mixture of experts, latent attention,
 * sliding window, chunked attention (Llama 4) and gated delta nets (Qwen3-Next and later).
 * Multimodal wrappers are unwrapped through `text_config`.
 *
 * @throws SimulatorError `SIMULATOR_MODEL_UNSUPPORTED` when a needed field is missing or makes no sense.
 */
export function modelFromConfig(config: HfConfig, options: { readonly name?: string } = {}): ModelSpec {
  const outer = config;
  const text = record(outer["text_config"]) ?? outer;
  const name = options.name ?? string(outer["_name_or_path"]) ?? string(text["model_type"]) ?? "model";
  const need = (...keys: string[]): number => {
    for (const key of keys) {
      const value = number(text[key]);
      if (value !== undefined) return value;
    }
    throw simulatorError(
      "SIMULATOR_MODEL_UNSUPPORTED",
      `The config of ${name} has no ${keys.join(" or ")}; pass the config.json of a decoder-only text model`,
      { model: name, fields: keys },
    );
  };
  const get = (fallback: number, ...keys: string[]): number =>
    keys.map((key) => number(text[key])).find((value) => value !== undefined) ?? fallback;

  const hidden = need("hidden_size", "n_embd", "d_model");
  const count = need("num_hidden_layers", "n_layer", "num_layers");
  const vocabulary = need("vocab_size");
  if (![hidden, count, vocabulary].every((value) => Number.isInteger(value) && value > 0))
    throw simulatorError(
      "SIMULATOR_MODEL_UNSUPPORTED",
      `The config of ${name} has hidden_size ${hidden}, num_hidden_layers ${count}, vocab_size ${vocabulary}: all must be positive integers`,
      { model: name },
    );

  const groups = new Map<string, { count: number; attention: AttentionSpec; feedForward: FeedForwardSpec }>();
  for (let layer = 0; layer < count; layer++) {
    const attention = attentionOf(text, layer, hidden, need, get);
    const feedForward = feedForwardOf(text, layer, need, get);
    const key = JSON.stringify([attention, feedForward]);
    const group = groups.get(key);
    if (group) group.count += 1;
    else groups.set(key, { count: 1, attention, feedForward });
  }
  const layers: readonly LayerGroup[] = [...groups.values()];
  return {
    name,
    hidden,
    vocabulary,
    layers,
    isEmbeddingTied: (text["tie_word_embeddings"] ?? outer["tie_word_embeddings"]) === true,
    contextTokens: get(8192, "max_position_embeddings", "model_max_length", "n_positions"),
    checkpoint: checkpointOf(record(outer["quantization_config"]) ?? record(text["quantization_config"])),
  };
}

type Need = (...keys: string[]) => number;
type Get = (fallback: number, ...keys: string[]) => number;

function attentionOf(text: HfConfig, layer: number, hidden: number, need: Need, get: Get): AttentionSpec {
  const heads = need("num_attention_heads", "n_head");
  const types = Array.isArray(text["layer_types"]) ? (text["layer_types"] as unknown[]) : undefined;
  const interval = number(text["full_attention_interval"]);
  const isLinear = types
    ? types[layer] === "linear_attention"
    : interval !== undefined && (layer + 1) % interval !== 0;
  if (isLinear && number(text["linear_num_value_heads"]) !== undefined)
    return {
      kind: "linear",
      keyHeads: need("linear_num_key_heads"),
      valueHeads: need("linear_num_value_heads"),
      keyHeadDim: need("linear_key_head_dim"),
      valueHeadDim: need("linear_value_head_dim"),
      convolutionKernel: get(4, "linear_conv_kernel_dim"),
    };
  if (number(text["kv_lora_rank"]) !== undefined)
    return {
      kind: "latent",
      heads,
      queryRank: get(0, "q_lora_rank"),
      kvRank: need("kv_lora_rank"),
      nopeHeadDim: need("qk_nope_head_dim"),
      ropeHeadDim: need("qk_rope_head_dim"),
      valueHeadDim: need("v_head_dim"),
      sparseTokens: number(text["index_topk"]),
    };
  return {
    kind: "grouped",
    heads,
    kvHeads: get(heads, "num_key_value_heads"),
    headDim: get(hidden / heads, "head_dim"),
    windowTokens: windowOf(text, layer, types),
    gated: text["attn_output_gate"] === true || number(text["linear_num_value_heads"]) !== undefined,
  };
}

function windowOf(text: HfConfig, layer: number, types: readonly unknown[] | undefined): number | undefined {
  const window = number(text["sliding_window"]);
  const chunk = number(text["attention_chunk_size"]);
  if (types) {
    if (types[layer] === "sliding_attention") return window;
    if (types[layer] === "chunked_attention") return chunk;
    return undefined;
  }
  if (chunk !== undefined) {
    const noRope = number(text["no_rope_layer_interval"]) ?? 4;
    return (layer + 1) % noRope === 0 ? undefined : chunk;
  }
  if (window === undefined || text["use_sliding_window"] === false) return undefined;
  const pattern = number(text["sliding_window_pattern"]);
  if (pattern !== undefined) return (layer + 1) % pattern === 0 ? undefined : window;
  return layer >= (number(text["max_window_layers"]) ?? 0) ? window : undefined;
}

function feedForwardOf(text: HfConfig, layer: number, need: Need, get: Get): FeedForwardSpec {
  const experts = get(0, "num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts");
  const denseWidth = (): number =>
    get(need("intermediate_size", "n_inner", "moe_intermediate_size"), "intermediate_size_mlp");
  if (experts <= 1 || !isExpertLayer(text, layer, get))
    return {
      kind: "dense",
      intermediate: denseWidth(),
      gated: text["hidden_act"] !== "gelu_new" && text["hidden_act"] !== "relu",
    };
  const intermediate = need("moe_intermediate_size", "intermediate_size");
  // Llama 4 always has one shared expert of the routed width, which its config does not say.
  const sharedCount = get(
    number(text["interleave_moe_layer_step"]) === undefined ? 0 : 1,
    "n_shared_experts",
    "num_shared_experts",
  );
  return {
    kind: "experts",
    experts,
    expertsPerToken: need("num_experts_per_tok", "num_experts_per_token", "moe_topk"),
    intermediate,
    sharedIntermediate: get(
      sharedCount * intermediate,
      "shared_expert_intermediate_size",
      "shared_intermediate_size",
    ),
  };
}

function isExpertLayer(text: HfConfig, layer: number, get: Get): boolean {
  const dense = text["mlp_only_layers"];
  if (Array.isArray(dense) && dense.includes(layer)) return false;
  if (layer < get(0, "first_k_dense_replace")) return false;
  const frequency = text["moe_layer_freq"];
  if (Array.isArray(frequency)) return frequency[layer] === 1;
  const step = get(1, "interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_freq");
  return step <= 1 || (layer + 1) % step === 0;
}

function checkpointOf(quantization: HfConfig | undefined): CheckpointFormat {
  if (!quantization) return "bf16";
  const method = string(quantization["quant_method"]) ?? "";
  const algorithm = (
    string(quantization["quant_algo"]) ??
    string(quantization["format"]) ??
    ""
  ).toLowerCase();
  if (method === "mxfp4") return "mxfp4";
  if (method === "modelopt" || algorithm.includes("nvfp4"))
    return algorithm.includes("fp4") ? "nvfp4" : "fp8";
  if (method === "fp8" || method === "fbgemm_fp8")
    return Array.isArray(quantization["weight_block_size"]) ? "fp8-block" : "fp8";
  const bits = number(quantization["bits"]) ?? groupBits(quantization);
  if (bits === 4) return "int4";
  if (bits === 8) return algorithm.includes("float") ? "fp8" : "int8";
  return "bf16";
}

function groupBits(quantization: HfConfig): number | undefined {
  const groups = record(quantization["config_groups"]);
  const first = groups ? record(Object.values(groups)[0]) : undefined;
  return number(record(first?.["weights"])?.["num_bits"]);
}

function record(value: unknown): HfConfig | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as HfConfig)
    : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function string(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

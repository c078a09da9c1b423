import type { AttentionSpec } from "../model-spec.ts";
import { blockOfLayer } from "./block-of-layer.ts";
import { number, perLayer, record } from "./fields.ts";
import type { Fields, HfConfig } from "./fields.ts";

/** How a layer attends, by whichever of the families' conventions the config follows. */
export function attentionOfLayer(fields: Fields, layer: number, hidden: number): AttentionSpec {
  const { text, need, get } = fields;
  const block = blockOfLayer(text, layer);
  if (block === "feedForward") return { kind: "none" };
  if (block === "mamba") return mamba(fields);
  const pruned = record(record(perLayer(text, "block_configs", layer))?.["attention"]);
  if (pruned?.["no_op"] === true || pruned?.["replace_with_linear"] === true) return { kind: "none" };
  const heads = need("num_attention_heads", "n_head");
  if (isLinear(text, layer))
    return {
      kind: "linear",
      keyHeads: need("linear_num_key_heads"),
      valueHeads: need("linear_num_value_heads"),
      keyHeadDim: need("linear_key_head_dim"),
      valueHeadDim: need("linear_value_head_dim"),
      convolutionKernel: get(4, "linear_conv_kernel_dim"),
    };
  const ratio = number(perLayer(text, "compress_ratios", layer));
  if (ratio !== undefined)
    return {
      kind: "compressed",
      heads,
      headDim: need("head_dim"),
      ropeHeadDim: need("qk_rope_head_dim"),
      queryRank: need("q_lora_rank"),
      outputGroups: need("o_groups"),
      outputRank: need("o_lora_rank"),
      windowTokens: need("sliding_window"),
      ratio,
      // Only finely compressed layers have an indexer; what stands for 128 tokens is read whole.
      selectedEntries: ratio > 0 && ratio < 32 ? number(text["index_topk"]) : undefined,
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
  const windowTokens = windowOf(text, layer);
  // Some families give windowed layers heads of their own.
  const own = windowTokens === undefined ? "" : "swa_";
  const headDim = get(hidden / heads, `${own}head_dim`, "head_dim");
  const grouped = number(pruned?.["n_heads_in_group"]);
  return {
    kind: "grouped",
    heads: get(heads, `${own}num_attention_heads`),
    kvHeads:
      grouped === undefined
        ? get(heads, `${own}num_key_value_heads`, "num_key_value_heads", "num_attention_groups")
        : heads / grouped,
    headDim,
    valueHeadDim: get(headDim, `${own}v_head_dim`, "v_head_dim"),
    windowTokens,
    gated: text["attn_output_gate"] === true || number(text["linear_num_value_heads"]) !== undefined,
  };
}

function isLinear(text: HfConfig, layer: number): boolean {
  if (number(text["linear_num_value_heads"]) === undefined) return false;
  const type = perLayer(text, "layer_types", layer);
  if (type !== undefined) return type === "linear_attention";
  const interval = number(text["full_attention_interval"]);
  return interval !== undefined && (layer + 1) % interval !== 0;
}

// Mamba-2 (Nemotron-H): groups share the state's input and output vectors, which play the part of keys.
function mamba({ need, get }: Fields): AttentionSpec {
  return {
    kind: "linear",
    keyHeads: need("n_groups", "mamba_n_groups"),
    keyHeadDim: need("ssm_state_size", "mamba_d_state"),
    valueHeads: need("mamba_num_heads", "mamba_n_heads"),
    valueHeadDim: need("mamba_head_dim", "mamba_d_head"),
    convolutionKernel: get(4, "conv_kernel", "mamba_d_conv"),
  };
}

function windowOf(text: HfConfig, layer: number): number | undefined {
  const window = number(text["sliding_window"]) ?? number(text["sliding_window_size"]);
  const chunk = number(text["attention_chunk_size"]);
  const type = perLayer(text, "layer_types", layer);
  if (type !== undefined) {
    if (type === "sliding_attention") return window;
    return type === "chunked_attention" ? chunk : undefined;
  }
  const hybrid = perLayer(text, "hybrid_layer_pattern", layer);
  if (hybrid !== undefined) return hybrid === 1 ? window : undefined;
  if (chunk !== undefined) {
    const noRope = number(text["no_rope_layer_interval"]) ?? 4;
    return (layer + 1) % noRope === 0 ? undefined : chunk;
  }
  if (window === undefined || text["use_sliding_window"] === false) return undefined;
  const pattern = number(text["sliding_window_pattern"]);
  if (pattern !== undefined) return (layer + 1) % pattern === 0 ? undefined : window;
  return layer >= (number(text["max_window_layers"]) ?? 0) ? window : undefined;
}

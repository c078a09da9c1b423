import type { FeedForwardSpec } from "../model-spec.ts";
import { blockOfLayer } from "./block-of-layer.ts";
import { number, perLayer, record, string } from "./fields.ts";
import type { Fields } from "./fields.ts";

/** What follows the mixer of a layer. */
export function feedForwardOfLayer(fields: Fields, layer: number, hidden: number): FeedForwardSpec {
  const { text, need, get } = fields;
  const block = blockOfLayer(text, layer);
  if (block === "mamba" || block === "attention") return { kind: "none" };
  const gated = !["gelu_new", "relu", "relu2"].includes(
    string(text["mlp_hidden_act"]) ?? string(text["hidden_act"]) ?? "silu",
  );
  const pruned = record(record(perLayer(text, "block_configs", layer))?.["ffn"]);
  if (pruned) {
    const factor = number(pruned["ffn_mult"]);
    if (pruned["no_op"] === true || factor === undefined) return { kind: "none" };
    return { kind: "dense", intermediate: prunedWidth(factor, hidden), gated };
  }
  const experts = get(0, "num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts");
  if (experts <= 1 || !isExpertLayer(fields, layer))
    return {
      kind: "dense",
      intermediate: get(
        need("intermediate_size", "n_inner", "moe_intermediate_size"),
        "intermediate_size_mlp",
      ),
      gated,
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
    expertsPerToken: need("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k"),
    intermediate,
    sharedIntermediate: get(
      sharedCount * intermediate,
      "shared_expert_intermediate_size",
      "moe_shared_expert_intermediate_size",
      "shared_intermediate_size",
      "share_expert_dim",
    ),
    gated,
    latent: number(text["moe_latent_size"]),
  };
}

// DeciLM: two thirds of `ffn_mult` times the hidden size, up to the next multiple of 256.
function prunedWidth(factor: number, hidden: number): number {
  return Math.ceil(Math.floor((2 * factor * hidden) / 3) / 256) * 256;
}

function isExpertLayer({ text, get }: Fields, layer: number): boolean {
  const pattern = string(text["hybrid_override_pattern"]);
  if (pattern !== undefined) return pattern[layer] === "E";
  const type = perLayer(text, "layers_block_type", layer);
  if (type !== undefined) return type === "moe";
  const dense = text["mlp_only_layers"];
  if (Array.isArray(dense) && dense.includes(layer)) return false;
  if (layer < get(0, "first_k_dense_replace")) return false;
  const frequency = perLayer(text, "moe_layer_freq", layer);
  if (frequency !== undefined) return frequency === 1;
  const listed = string(text["moe_layers_enum"]);
  if (listed !== undefined) return listed.split(",").map(Number).includes(layer);
  const step = get(1, "interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_freq");
  return step <= 1 || (layer + 1) % step === 0;
}

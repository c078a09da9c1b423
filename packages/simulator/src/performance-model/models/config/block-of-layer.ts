import { perLayer, string } from "./fields.ts";
import type { HfConfig } from "./fields.ts";

/**
 * What a layer of a model with one block per layer is (Nemotron-H: `hybrid_override_pattern`, one letter each, or
 * `layers_block_type`); undefined for the usual pair of mixer and feed-forward block.
 */
export function blockOfLayer(
  text: HfConfig,
  layer: number,
): "mamba" | "attention" | "feedForward" | undefined {
  const pattern = string(text["hybrid_override_pattern"]);
  if (pattern !== undefined) return byLetter[pattern[layer] ?? ""];
  const type = perLayer(text, "layers_block_type", layer);
  if (type === undefined) return undefined;
  return type === "mamba" || type === "attention" ? type : "feedForward";
}

const byLetter: Readonly<Record<string, "mamba" | "attention" | "feedForward" | undefined>> = {
  M: "mamba",
  "*": "attention",
  E: "feedForward",
  "-": "feedForward",
};

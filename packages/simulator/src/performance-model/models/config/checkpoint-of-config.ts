import type { CheckpointFormat } from "../model-spec.ts";
import { number, record, string } from "./fields.ts";
import type { HfConfig } from "./fields.ts";

/** How weights are stored, from a `quantization_config`; bf16 without one. */
export function checkpointOfConfig(quantization: HfConfig | undefined): CheckpointFormat {
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

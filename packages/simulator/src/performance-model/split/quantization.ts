import type { CheckpointFormat, ModelSpec } from "../models/model-spec.ts";
import { hasExperts } from "../models/model-spec.ts";
import { simulatorError } from "../../simulator-error.ts";
import type { SystemSpec } from "../systems/system-spec.ts";

/**
 * How a matrix product is done. `w4a16` and `w8a16` store narrow weights and compute in bf16; `mxfp4` is `w4a16`
 * before Blackwell and 4-bit weights with 8-bit activations from there on.
 */
export type MatrixFormat = "bf16" | "fp8" | "fp8-block" | "nvfp4" | "mxfp4" | "w4a16" | "w8a16" | "int8";

export interface Quantization {
  /** Attention projections, dense feed-forward blocks and shared experts. */
  readonly dense: MatrixFormat;
  /** Routed experts. */
  readonly experts: MatrixFormat;
  /** Arithmetic of prefill attention. */
  readonly attention: "bf16" | "fp8";
  /** What the KV cache holds. */
  readonly kvCache: "bf16" | "fp8";
}

/** Bytes of one stored weight, scales included. */
export const weightBytes: Readonly<Record<MatrixFormat, number>> = {
  bf16: 2,
  fp8: 1,
  "fp8-block": 1,
  int8: 1,
  w8a16: 1,
  nvfp4: 9 / 16,
  mxfp4: 17 / 32,
  w4a16: 33 / 64,
};

/** Bytes of one activation as the product reads it. */
export function activationBytes(format: MatrixFormat): number {
  if (format === "nvfp4") return 9 / 16;
  return format === "fp8" || format === "fp8-block" || format === "int8" ? 1 : 2;
}

/** Peak tensor-core rate of a format in operations per second. */
export function peakPerSecond(system: SystemSpec, format: MatrixFormat): number {
  switch (format) {
    case "fp8":
    case "fp8-block":
      return system.fp8PerSecond ?? system.bf16PerSecond;
    case "int8":
      return system.int8PerSecond ?? system.bf16PerSecond;
    case "nvfp4":
      return system.fp4PerSecond ?? system.bf16PerSecond;
    case "mxfp4":
      return system.fp4PerSecond === undefined
        ? system.bf16PerSecond
        : (system.fp8PerSecond ?? system.bf16PerSecond);
    default:
      return system.bf16PerSecond;
  }
}

/** What the system lacks for this quantization, in words; empty when it runs. */
export function quantizationProblems(system: SystemSpec, quantization: Quantization): string[] {
  const problems: string[] = [];
  for (const format of new Set([quantization.dense, quantization.experts])) {
    if (format.startsWith("fp8") && system.fp8PerSecond === undefined)
      problems.push(`${format} needs FP8 tensor cores, which ${system.name} lacks; use bf16, w8a16 or w4a16`);
    if (format === "nvfp4" && system.fp4PerSecond === undefined)
      problems.push(`nvfp4 needs FP4 tensor cores, which ${system.name} lacks; use fp8 or w4a16`);
  }
  if (quantization.attention === "fp8" && system.fp8PerSecond === undefined)
    problems.push(`fp8 attention needs FP8 tensor cores, which ${system.name} lacks`);
  return problems;
}

const byCheckpoint: Readonly<Record<CheckpointFormat, Quantization>> = {
  bf16: { dense: "bf16", experts: "bf16", attention: "bf16", kvCache: "bf16" },
  fp8: { dense: "fp8", experts: "fp8", attention: "bf16", kvCache: "bf16" },
  "fp8-block": { dense: "fp8-block", experts: "fp8-block", attention: "bf16", kvCache: "bf16" },
  nvfp4: { dense: "nvfp4", experts: "nvfp4", attention: "bf16", kvCache: "fp8" },
  mxfp4: { dense: "bf16", experts: "mxfp4", attention: "bf16", kvCache: "bf16" },
  int4: { dense: "bf16", experts: "w4a16", attention: "bf16", kvCache: "bf16" },
  int8: { dense: "int8", experts: "int8", attention: "bf16", kvCache: "bf16" },
};

/** Names that `namedQuantization` accepts. */
export const quantizationNames: readonly string[] = [
  "auto",
  "bf16",
  "fp8",
  "fp8-block",
  "nvfp4",
  "fp4",
  "mxfp4",
  "int4",
  "int8",
];

/**
 * A quantization by its everyday name. `auto` is what the checkpoint was published in, or the nearest the system can run:
 * FP8 checkpoints fall back to 8-bit weights with bf16 arithmetic, FP4 ones to 4-bit weights.
 *
 * @throws SimulatorError `SIMULATOR_QUANTIZATION_UNSUPPORTED` for an unknown name or one the system cannot run.
 */
export function namedQuantization(name: string, model: ModelSpec, system: SystemSpec): Quantization {
  const key = name === "fp4" ? "nvfp4" : name;
  if (name === "auto") return runnable(forModel(byCheckpoint[model.checkpoint], model), system);
  const found = (byCheckpoint as Readonly<Record<string, Quantization | undefined>>)[key];
  if (found === undefined)
    throw simulatorError(
      "SIMULATOR_QUANTIZATION_UNSUPPORTED",
      `No quantization "${name}". Known: ${quantizationNames.join(", ")}`,
      { quantization: name },
    );
  const quantization = forModel(found, model);
  const problems = quantizationProblems(system, quantization);
  if (problems.length > 0)
    throw simulatorError("SIMULATOR_QUANTIZATION_UNSUPPORTED", problems.join("; "), {
      quantization: name,
      system: system.name,
    });
  return quantization;
}

// A 4-bit integer checkpoint of a dense model quantizes its dense matrices; one of experts leaves attention in bf16.
function forModel(quantization: Quantization, model: ModelSpec): Quantization {
  const isDense = !hasExperts(model);
  return isDense && (quantization.experts === "w4a16" || quantization.experts === "mxfp4")
    ? { ...quantization, dense: quantization.experts }
    : quantization;
}

function runnable(quantization: Quantization, system: SystemSpec): Quantization {
  const replace = (format: MatrixFormat): MatrixFormat => {
    if (format.startsWith("fp8") && system.fp8PerSecond === undefined) return "w8a16";
    if (format === "nvfp4" && system.fp4PerSecond === undefined) return "w4a16";
    return format;
  };
  return {
    dense: replace(quantization.dense),
    experts: replace(quantization.experts),
    attention: system.fp8PerSecond === undefined ? "bf16" : quantization.attention,
    kvCache: system.fp8PerSecond === undefined ? "bf16" : quantization.kvCache,
  };
}

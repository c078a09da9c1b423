import type {
  MatrixFormat,
  ModelSpec,
  Parallelism,
  Quantization,
  SystemSpec,
} from "@stator/simulator/performance-model";
import { findModel, findSystem, hasExperts, namedQuantization } from "@stator/simulator/performance-model";
import type { DisaggregatedSpec, WorkerSpec } from "../serving/predict.ts";
import type { MeasuredRow, RawSplit } from "./measured-row.ts";
import { normalizeSplit } from "./measured-row.ts";
import { usualDeployment } from "./usual-deployment.ts";

/** A measured row as something that can be predicted. */
export type RowSpec =
  | { readonly mode: "agg"; readonly worker: WorkerSpec; readonly concurrency: number }
  | {
      readonly mode: "disagg";
      readonly spec: DisaggregatedSpec;
      /** Worker counts or batch were not in the row. */ readonly isGuess: boolean;
    };

const formats: Readonly<Record<string, MatrixFormat>> = {
  bfloat16: "bf16",
  float16: "bf16",
  fp8: "fp8",
  fp8_static: "fp8",
  fp8_ootb: "fp8",
  fp8_block: "fp8-block",
  nvfp4: "nvfp4",
  int4_wo: "w4a16",
  int8_wo: "w8a16",
  sq: "int8",
  w4a16_mxfp4: "mxfp4",
  w4a8_mxfp4_mxfp8: "mxfp4",
  w4afp8: "w4a16",
};

/**
 * Turns a row's inputs into a prediction request; undefined when the row lacks a batch or sizes that nothing can stand in for.
 *
 * @throws SimulatorError when the model or the system is unknown.
 */
export function specOfRow(row: MeasuredRow): RowSpec | undefined {
  const model = findModel(row.model);
  const system = findSystem(row.system);
  const quantization = quantizationOfRow(row, model, system);
  const release = releaseOf(row);
  const worker = (written: Parallelism): WorkerSpec => ({
    model,
    system,
    quantization,
    backend: row.backend,
    ...(release === undefined ? {} : { engineVersion: release }),
    parallelism: withWholeExperts(written, model),
  });
  const normalized = (raw: RawSplit): ReturnType<typeof normalizeSplit> =>
    normalizeSplit(raw, hasExperts(model));
  if (row.mode === "agg") {
    if (row.batch === undefined || row.split === undefined) return undefined;
    const { split, batchFactor } = normalized(row.split);
    return { mode: "agg", worker: worker(split), concurrency: Math.max(1, row.batch * batchFactor) };
  }
  if (row.prefill === undefined || row.decode === undefined) return undefined;
  const prefill = worker(normalized(row.prefill).split);
  const { split, batchFactor } = normalized(row.decode);
  const { batch, workers } = row.decode;
  if (batch !== undefined && workers !== undefined && row.prefill.workers !== undefined) {
    const spec: DisaggregatedSpec = {
      prefill,
      decode: worker(split),
      decodeWorkers: workers,
      decodeBatch: Math.max(1, batch * batchFactor),
      prefillWorkers: row.prefill.workers,
    };
    return { mode: "disagg", isGuess: false, spec };
  }
  const concurrency =
    row.concurrency ?? (batch === undefined ? undefined : batch * split.data * (workers ?? 1));
  return concurrency === undefined
    ? undefined
    : { mode: "disagg", isGuess: true, spec: usualDeployment(row, prefill, worker(split), concurrency) };
}

/** Columns of an expert's matrices below which engines do not cut: the scales of FP8 checkpoints are for blocks so wide. */
const narrowestExpert = 128;

/** Wide expert parallelism that a row writes as tensor parallelism: experts cut too narrow to run were never cut. */
function withWholeExperts(split: Parallelism, model: ModelSpec): Parallelism {
  const isTooNarrow = model.layers.some(
    ({ feedForward }) =>
      feedForward.kind === "experts" && feedForward.intermediate / split.expertTensor < narrowestExpert,
  );
  return isTooNarrow ? { ...split, expert: split.expert * split.expertTensor, expertTensor: 1 } : split;
}

/**
 * The engine's release where the row tells it. Sources began to name releases in December 2025: aggregated rows without one
 * are older. Disaggregated TensorRT-LLM rows name Dynamo's runtime image, whose numbers are not the engine's.
 */
function releaseOf({ backend, engineVersion, mode }: MeasuredRow): string | undefined {
  if (mode === "disagg" && (backend === "trtllm" || engineVersion === "")) return undefined;
  return engineVersion === "" ? "0" : engineVersion;
}

function quantizationOfRow(row: MeasuredRow, model: ModelSpec, system: SystemSpec): Quantization {
  const own = namedQuantization("auto", model, system);
  const dense =
    formats[row.denseFormat] ??
    (row.precision === "fp8" ? "fp8" : own.dense === "fp8-block" ? "bf16" : own.dense);
  const experts = formats[row.expertFormat] ?? formats[row.denseFormat] ?? own.experts;
  // Weight-only 4-bit checkpoints of experts keep attention in bf16; narrow formats serve with a narrow cache.
  return {
    dense: dense === "w4a16" && hasExperts(model) ? "bf16" : dense,
    experts,
    attention: "bf16",
    kvCache:
      dense === "nvfp4" || dense === "fp8" || (experts === "mxfp4" && system.fp4PerSecond !== undefined)
        ? "fp8"
        : "bf16",
  };
}

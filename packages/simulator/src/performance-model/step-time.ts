import type { BackendName } from "./backend-terms.ts";
import { backendTerms } from "./backend-terms.ts";
import type { Coefficients } from "./coefficients.ts";
import { defaultCoefficients } from "./default-coefficients.ts";
import type { ModelSpec } from "./model-spec.ts";
import { layerCount } from "./model-spec.ts";
import type { OperationShape } from "./operation.ts";
import { operationsOfStep } from "./operations-of-step.ts";
import type { Parallelism } from "./parallelism.ts";
import type { Quantization } from "./quantization.ts";
import { rooflineMs } from "./roofline.ts";
import type { StepBatch } from "./step-batch.ts";
import { checkBatch, logitRowsOf } from "./step-batch.ts";
import type { SystemSpec } from "./system-spec.ts";

/** A source of kernel times better than the roofline: measured tables. */
export interface OperationTimes {
  /** Where times come from, for reports: `tables: trtllm 1.2.0rc5`. */
  readonly source: string;
  /** Milliseconds of one kernel, or undefined where this source has nothing to say. */
  lookup(shape: OperationShape, system: SystemSpec): number | undefined;
}

export interface StepTimeOptions {
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly parallelism: Parallelism;
  readonly quantization: Quantization;
  /** Per attention-data-parallel rank. */
  readonly batch: StepBatch;
  /** Adds that engine's launch and scheduling costs. Left out: kernels alone. */
  readonly backend?: BackendName;
  /** Asked first for every kernel; the roofline answers the rest. */
  readonly times?: OperationTimes;
  /** Another calibration. Default: the committed one. */
  readonly coefficients?: Coefficients;
}

/** One line of a step's account. */
export interface OperationTime {
  readonly name: string;
  readonly count: number;
  /** All of them together. */
  readonly ms: number;
  /** `roofline`, `overhead` or the tables' source. */
  readonly source: string;
}

export interface StepBreakdown {
  readonly ms: number;
  readonly operations: readonly OperationTime[];
}

/**
 * Milliseconds that one engine step takes through all its pipeline stages.
 *
 * @example
 * stepTime({ model: findModel("Qwen/Qwen3-32B"), system: findSystem("h200"), parallelism: parallelism({ tensor: 2 }),
 *   quantization, batch: { decode: { sequences: 64, contextTokens: 2300 } }, backend: "vllm" });
 * @throws PerformanceModelError `SIMULATOR_BATCH_INVALID` for negative or non-finite counts.
 */
export function stepTime(options: StepTimeOptions): number {
  checkBatch(options.batch);
  const { system, times, coefficients = defaultCoefficients } = options;
  let ms = 0;
  for (const { count, shape } of operationsOfStep(options))
    ms += count * (times?.lookup(shape, system) ?? rooflineMs(shape, system, coefficients));
  return ms === 0 || options.backend === undefined
    ? ms
    : ms * backendTerms[options.backend].kernelScale + overheadMs(options, options.backend);
}

/** The same time as an account, one line per kind of operation. */
export function stepBreakdown(options: StepTimeOptions): StepBreakdown {
  checkBatch(options.batch);
  const { system, times, coefficients = defaultCoefficients } = options;
  const lines = new Map<string, { name: string; count: number; ms: number; source: string }>();
  const scale = options.backend === undefined ? 1 : backendTerms[options.backend].kernelScale;
  let total = 0;
  for (const { name, count, shape } of operationsOfStep(options)) {
    const measured = times?.lookup(shape, system);
    const source = measured === undefined ? "roofline" : (times?.source ?? "tables");
    const ms = count * (measured ?? rooflineMs(shape, system, coefficients)) * scale;
    total += ms;
    const line = lines.get(`${name}\n${source}`);
    if (line) {
      line.count += count;
      line.ms += ms;
    } else lines.set(`${name}\n${source}`, { name, count, ms, source });
  }
  if (total > 0 && options.backend !== undefined) {
    const ms = overheadMs(options, options.backend);
    total += ms;
    lines.set("overhead", { name: "engineOverhead", count: 1, ms, source: "overhead" });
  }
  return { ms: total, operations: [...lines.values()] };
}

function overheadMs({ model, batch }: StepTimeOptions, backend: BackendName): number {
  const terms = backendTerms[backend];
  const hasPrefill = (batch.prefill ?? []).some((chunk) => chunk.sequences > 0 && chunk.newTokens > 0);
  const perLayer = hasPrefill ? layerCount(model) * terms.prefillLayerUs : 0;
  return (terms.stepUs + terms.perSequenceUs * logitRowsOf(batch) + perLayer) * 1e-3;
}

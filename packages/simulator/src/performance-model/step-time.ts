import type { BackendName, BackendTerms } from "./engines/backend-terms.ts";
import { backendTerms } from "./engines/backend-terms.ts";
import type { Coefficients } from "./systems/coefficients.ts";
import { coefficientsFor } from "./systems/coefficients-for.ts";
import type { ModelSpec } from "./models/model-spec.ts";
import { layerCount } from "./models/model-spec.ts";
import type { OperationShape } from "./operations/operation.ts";
import { operationsOfStep } from "./operations/operations-of-step.ts";
import type { Parallelism } from "./split/parallelism.ts";
import type { Quantization } from "./split/quantization.ts";
import { rooflineMs, servedTime } from "./operations/roofline.ts";
import type { StepBatch } from "./step-batch.ts";
import { checkBatch, logitRowsOf } from "./step-batch.ts";
import type { SystemSpec } from "./systems/system-spec.ts";

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
  /** Adds that engine's launch and scheduling costs and the factors fitted on deployments. Left out: kernels alone, as tables measure them. */
  readonly backend?: BackendName;
  /** Release of the engine, such as `0.5.9`; where kernels of early ones were slower, that counts. Default: the newest. */
  readonly engineVersion?: string;
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
 * @throws SimulatorError `SIMULATOR_BATCH_INVALID` for negative or non-finite counts.
 */
export function stepTime(options: StepTimeOptions): number {
  checkBatch(options.batch);
  const { system, times, coefficients = coefficientsFor(options.system) } = options;
  const terms =
    options.backend === undefined ? undefined : backendTerms(options.backend, system, options.engineVersion);
  let ms = 0;
  for (const { count, shape } of operationsOfStep(options)) {
    const measured = times?.lookup(shape, system);
    ms +=
      count *
      (measured === undefined
        ? kernelMs(shape, system, coefficients, terms)
        : measured * (terms?.workScale ?? 1));
  }
  if (ms === 0 || terms === undefined) return ms;
  const busy = ms + overheadMs(options, terms);
  return busy + launchWaitMs(busy, options, terms);
}

/** The same time as an account, one line per kind of operation and source. */
export function stepBreakdown(options: StepTimeOptions): StepBreakdown {
  checkBatch(options.batch);
  const { system, times, coefficients = coefficientsFor(options.system) } = options;
  const terms =
    options.backend === undefined ? undefined : backendTerms(options.backend, system, options.engineVersion);
  const lines = new Map<string, { name: string; count: number; ms: number; source: string }>();
  const add = (name: string, count: number, ms: number, source: string): void => {
    const line = lines.get(`${name}\n${source}`);
    if (line) {
      line.count += count;
      line.ms += ms;
    } else lines.set(`${name}\n${source}`, { name, count, ms, source });
  };
  for (const { name, count, shape } of operationsOfStep(options)) {
    const measured = times?.lookup(shape, system);
    if (measured === undefined)
      add(name, count, count * kernelMs(shape, system, coefficients, terms), "roofline");
    else add(name, count, count * measured * (terms?.workScale ?? 1), times?.source ?? "tables");
  }
  if (lines.size > 0 && terms !== undefined) {
    const overhead = overheadMs(options, terms);
    add("engineOverhead", 1, overhead, "overhead");
    const kernels = [...lines.values()].reduce((sum, line) => sum + line.ms, 0);
    const wait = launchWaitMs(kernels, options, terms);
    if (wait > 0) add("launchWait", 1, wait, "overhead");
  }
  const operations: OperationTime[] = [...lines.values()];
  return { ms: operations.reduce((sum, operation) => sum + operation.ms, 0), operations };
}

function kernelMs(
  shape: OperationShape,
  system: SystemSpec,
  coefficients: Coefficients,
  terms: BackendTerms | undefined,
): number {
  if (terms === undefined) return rooflineMs(shape, system, coefficients);
  const { workMs, floorMs } = servedTime(shape, system, coefficients);
  return workMs * terms.workScale + floorMs * terms.floorScale;
}

function overheadMs({ model, batch }: StepTimeOptions, terms: BackendTerms): number {
  const layers = hasPrompts(batch) ? 0 : layerCount(model) * terms.decodeLayerUs;
  return (terms.stepUs + terms.perSequenceUs * logitRowsOf(batch) + layers) * 1e-3;
}

/** How sharply a step goes from bound by the GPU to bound by launches. */
const launchOverlap = 4;

/** What a step with prompts, which no graph covers, takes beyond the GPU's own time because the host launches too slowly. */
function launchWaitMs(busyMs: number, { model, batch }: StepTimeOptions, terms: BackendTerms): number {
  if (!hasPrompts(batch)) return 0;
  const hostMs = layerCount(model) * terms.launchLayerUs * 1e-3;
  return (busyMs ** launchOverlap + hostMs ** launchOverlap) ** (1 / launchOverlap) - busyMs;
}

function hasPrompts({ prefill = [] }: StepBatch): boolean {
  return prefill.some((chunk) => chunk.sequences > 0 && chunk.newTokens > 0);
}

export { modelFromConfig } from "./models/hf-config.ts";
export type { HfConfig } from "./models/hf-config.ts";
export { builtInModelConfigs } from "./models/built-in-models.ts";
export { findModel, modelNames } from "./models/find-model.ts";
export { hasExperts, layerCount, parameterCount } from "./models/model-spec.ts";
export type {
  AttentionSpec,
  CheckpointFormat,
  DenseFeedForward,
  ExpertFeedForward,
  FeedForwardSpec,
  GroupedAttention,
  LatentAttention,
  LayerGroup,
  LinearAttention,
  ModelSpec,
} from "./models/model-spec.ts";
export { findSystem, systemFromYaml, systemNames, systemSchema } from "./systems/system-spec.ts";
export type { SystemSpec } from "./systems/system-spec.ts";
export {
  activationBytes,
  namedQuantization,
  peakPerSecond,
  quantizationNames,
  quantizationProblems,
  weightBytes,
} from "./split/quantization.ts";
export type { MatrixFormat, Quantization } from "./split/quantization.ts";
export {
  checkParallelism,
  gpusOf,
  parallelism,
  parallelismLabel,
  parallelismProblems,
} from "./split/parallelism.ts";
export type { Parallelism } from "./split/parallelism.ts";
export { checkBatch, logitRowsOf, tokensOf } from "./step-batch.ts";
export type { DecodeBatch, PrefillChunk, StepBatch } from "./step-batch.ts";
export type {
  CollectiveName,
  CollectiveShape,
  DecodeAttentionShape,
  DecodeLatentShape,
  ElementwiseShape,
  ExpertsShape,
  HeadMatrixShape,
  LinearAttentionShape,
  MatrixShape,
  Operation,
  OperationShape,
  PrefillAttentionShape,
} from "./operations/operation.ts";
export type { KernelTime } from "./operations/roofline.ts";
export { operationsOfStep } from "./operations/operations-of-step.ts";
export { floorKey, rooflineMs, rooflineTime, workKey } from "./operations/roofline.ts";
export type { Coefficients, EfficiencyCurve, ExpertsCurve } from "./systems/coefficients.ts";
export { architectureOf, coefficientsFor, generationOf } from "./systems/coefficients-for.ts";
export type { Architecture, Generation } from "./systems/coefficients-for.ts";
export { backendNames, backendTerms } from "./engines/backend-terms.ts";
export type { BackendName, BackendTerms } from "./engines/backend-terms.ts";
export { stepBreakdown, stepTime } from "./step-time.ts";
export type { OperationTime, OperationTimes, StepBreakdown, StepTimeOptions } from "./step-time.ts";
export { kvBytesOfSequence, memoryUse, sequenceCapacity, weightBytesPerGpu } from "./split/memory.ts";
export type { MemoryOptions, MemoryUse } from "./split/memory.ts";
export { SimulatorError } from "../simulator-error.ts";
export type { SimulatorErrorCode } from "../simulator-error.ts";
export { measuredOperation } from "./tables/table-row.ts";
export type { MeasuredOperation, TableRow } from "./tables/table-row.ts";
export { createTableTimes } from "./tables/table-times.ts";
export type { TableTimesOptions } from "./tables/table-times.ts";
export { readParquetTable } from "./tables/read-table.ts";

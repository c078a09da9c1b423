export { modelFromConfig } from "./hf-config.ts";
export type { HfConfig } from "./hf-config.ts";
export { builtInModelConfigs } from "./built-in-models.ts";
export { findModel, modelNames } from "./find-model.ts";
export { hasExperts, layerCount, parameterCount } from "./model-spec.ts";
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
} from "./model-spec.ts";
export { findSystem, systemFromYaml, systemNames, systemSchema } from "./system-spec.ts";
export type { SystemSpec } from "./system-spec.ts";
export {
  activationBytes,
  namedQuantization,
  peakPerSecond,
  quantizationNames,
  quantizationProblems,
  weightBytes,
} from "./quantization.ts";
export type { MatrixFormat, Quantization } from "./quantization.ts";
export {
  checkParallelism,
  gpusOf,
  parallelism,
  parallelismLabel,
  parallelismProblems,
} from "./parallelism.ts";
export type { Parallelism } from "./parallelism.ts";
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
} from "./operation.ts";
export type { KernelTime } from "./roofline.ts";
export { operationsOfStep } from "./operations-of-step.ts";
export { floorKey, rooflineMs, rooflineTime, workKey } from "./roofline.ts";
export type { Coefficients, EfficiencyCurve, ExpertsCurve } from "./coefficients.ts";
export { architectureOf, coefficientsFor, generationOf } from "./coefficients-for.ts";
export type { Architecture, Generation } from "./coefficients-for.ts";
export { backendNames, backendTerms } from "./backend-terms.ts";
export type { BackendName, BackendTerms } from "./backend-terms.ts";
export { stepBreakdown, stepTime } from "./step-time.ts";
export type { OperationTime, OperationTimes, StepBreakdown, StepTimeOptions } from "./step-time.ts";
export { kvBytesOfSequence, memoryUse, sequenceCapacity, weightBytesPerGpu } from "./memory.ts";
export type { MemoryOptions, MemoryUse } from "./memory.ts";
export { PerformanceModelError } from "./performance-model-error.ts";
export type { PerformanceModelErrorCode } from "./performance-model-error.ts";
export { measuredOperation } from "./table-row.ts";
export type { MeasuredOperation, TableRow } from "./table-row.ts";
export { createTableTimes } from "./table-times.ts";
export type { TableTimesOptions } from "./table-times.ts";
export { readParquetTable } from "./read-table.ts";

export { modelFromConfig } from "./performance-model/models/hf-config.ts";
export type { HfConfig } from "./performance-model/models/hf-config.ts";
export { builtInModelConfigs } from "./performance-model/models/built-in-models.ts";
export { findModel, modelNames } from "./performance-model/models/find-model.ts";
export { hasExperts, layerCount, parameterCount } from "./performance-model/models/model-spec.ts";
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
} from "./performance-model/models/model-spec.ts";
export {
  findSystem,
  systemFromYaml,
  systemNames,
  systemSchema,
} from "./performance-model/systems/system-spec.ts";
export type { SystemSpec } from "./performance-model/systems/system-spec.ts";
export {
  activationBytes,
  namedQuantization,
  peakPerSecond,
  quantizationNames,
  quantizationProblems,
  weightBytes,
} from "./performance-model/split/quantization.ts";
export type { MatrixFormat, Quantization } from "./performance-model/split/quantization.ts";
export {
  checkParallelism,
  gpusOf,
  parallelism,
  parallelismLabel,
  parallelismProblems,
} from "./performance-model/split/parallelism.ts";
export type { Parallelism } from "./performance-model/split/parallelism.ts";
export { checkBatch, logitRowsOf, tokensOf } from "./performance-model/step-batch.ts";
export type { DecodeBatch, PrefillChunk, StepBatch } from "./performance-model/step-batch.ts";
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
} from "./performance-model/operations/operation.ts";
export type { KernelTime } from "./performance-model/operations/roofline.ts";
export { operationsOfStep } from "./performance-model/operations/operations-of-step.ts";
export { floorKey, rooflineMs, rooflineTime, workKey } from "./performance-model/operations/roofline.ts";
export type {
  Coefficients,
  EfficiencyCurve,
  ExpertsCurve,
} from "./performance-model/systems/coefficients.ts";
export {
  architectureOf,
  coefficientsFor,
  generationOf,
} from "./performance-model/systems/coefficients-for.ts";
export type { Architecture, Generation } from "./performance-model/systems/coefficients-for.ts";
export { backendNames, backendTerms } from "./performance-model/engines/backend-terms.ts";
export type { BackendName, BackendTerms } from "./performance-model/engines/backend-terms.ts";
export { stepBreakdown, stepTime } from "./performance-model/step-time.ts";
export type {
  OperationTime,
  OperationTimes,
  StepBreakdown,
  StepTimeOptions,
} from "./performance-model/step-time.ts";
export {
  kvBytesOfSequence,
  memoryUse,
  sequenceCapacity,
  weightBytesPerGpu,
} from "./performance-model/split/memory.ts";
export type { MemoryOptions, MemoryUse } from "./performance-model/split/memory.ts";
export { SimulatorError } from "./simulator-error.ts";
export type { SimulatorErrorCode } from "./simulator-error.ts";
export { measuredOperation } from "./performance-model/tables/table-row.ts";
export type { MeasuredOperation, TableRow } from "./performance-model/tables/table-row.ts";

export type { TraceRequest } from "./workload/trace-request.ts";
export { TRACE_BLOCK_TOKENS } from "./workload/trace-request.ts";
export { formatMooncakeTrace, parseMooncakeTrace } from "./workload/mooncake-trace.ts";
export type { ArrivalOptions, Rate } from "./workload/arrivals.ts";
export {
  burstRate,
  constantRate,
  poissonArrivals,
  rampRate,
  sineRate,
  stepRate,
} from "./workload/arrivals.ts";
export type { ConversationOptions } from "./workload/conversations.ts";
export { conversationWorkload } from "./workload/conversations.ts";
export type { SharedPrefixOptions } from "./workload/shared-prefix.ts";
export { sharedPrefixWorkload } from "./workload/shared-prefix.ts";
export type { PrefixTreeOptions } from "./workload/prefix-tree.ts";
export { prefixTreeWorkload } from "./workload/prefix-tree.ts";
export type { WorkloadStatistics } from "./workload/workload-statistics.ts";
export { workloadStatistics } from "./workload/workload-statistics.ts";
export { traceBlockNames } from "./workload/block-names-of-trace.ts";
export { exponential, logNormal, seededRandom } from "./workload/random.ts";

export type { VirtualClock } from "@stator/core";
export { createVirtualClock } from "@stator/core";
export type { BlockCache, CacheChange, EvictionOrder } from "./cluster/block-cache.ts";
export { createBlockCache } from "./cluster/block-cache.ts";
export type {
  SimulatedRequest,
  SimulatedWorker,
  SimulatedWorkerOptions,
} from "./cluster/simulated-worker.ts";
export { createSimulatedWorker } from "./cluster/simulated-worker.ts";

export type { ReplayOptions, ReplayResult } from "./replay/replay.ts";
export { replay } from "./replay/replay.ts";
export type { ReplayDifference } from "./replay/recorded.ts";
export { blockTokensOfDecisions, compareReplays, workloadOfDecisions } from "./replay/recorded.ts";
export type { ReplaySummary, RequestOutcome } from "./replay/replay-summary.ts";

export type { GeneratedLoad } from "./planner-replay/load-spec.ts";
export { generateLoad, loadKinds } from "./planner-replay/load-spec.ts";
export type {
  PlannerReplayOptions,
  PlannerReplayRow,
  ReplayDecision,
  StrategyName,
} from "./planner-replay/planner-replay.ts";
export { plannerReplay, strategyNames } from "./planner-replay/planner-replay.ts";
export { plannerReport } from "./planner-replay/report.ts";
export type { ScalingMoment, ScalingOptions, ScalingRun } from "./planner-replay/run-scaling.ts";
export type { ScalingTick } from "./scaling/scaling-loop.ts";
export type { ScalingStrategy } from "./scaling/scaling-strategy.ts";
export { runScaling } from "./planner-replay/run-scaling.ts";
export type { ModelledTimesOptions, ServingTimes } from "./planner-replay/serving-times.ts";
export { modelledTimes, profileOfTimes, timesOfProfile } from "./planner-replay/serving-times.ts";

export { simulateLayout } from "./simulate/simulate-layout.ts";
export { plannedScaling } from "./simulate/cluster/planned-scaling.ts";
export type { PlannedScalingOptions } from "./simulate/cluster/planned-scaling.ts";
export type {
  ScalingReport,
  SimulatedOutcome,
  SimulatedScaling,
  Simulation,
  SimulationOptions,
  WorkerChange,
  WorkerReport,
} from "./simulate/simulation.ts";
export type { Distribution } from "./simulate/report/histogram.ts";
export type { Timeline, TimelinePoint } from "./simulate/report/timeline.ts";
export type { StepMs } from "./simulate/engine/step-ms.ts";
export { linearStepMs, modelledStepMs } from "./simulate/engine/step-ms.ts";
export type { ModelledWorkerOptions, WorkerModel } from "./simulate/engine/worker-model.ts";
export { modelledWorker, simulatedEngineWorker } from "./simulate/engine/worker-model.ts";

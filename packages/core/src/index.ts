export type { ErrorData, ErrorKind, StatorErrorOptions } from "./errors/stator-error.ts";
export { StatorError } from "./errors/stator-error.ts";
export type { CoreErrorCode } from "./errors/core-error.ts";
export { CoreError, cancelled } from "./errors/core-error.ts";

export type { Clock, Timer } from "./ports/clock.ts";
export { sleep, systemClock } from "./ports/clock.ts";
export type { LinkedAbort } from "./ports/linked-abort.ts";
export { linkAbort } from "./ports/linked-abort.ts";
export type { VirtualClock } from "./ports/virtual-clock.ts";
export { createVirtualClock } from "./ports/virtual-clock.ts";
export type { LogFields, Logger } from "./ports/logger.ts";
export { silentLogger } from "./ports/logger.ts";
export type {
  Counter,
  Family,
  Gauge,
  Histogram,
  HistogramOptions,
  InstrumentOptions,
  Labels,
  Meter,
} from "./ports/meter.ts";
export { noopMeter } from "./ports/meter.ts";

export type {
  Engine,
  EngineLoad,
  EngineStatus,
  Estimate,
  GenerateOptions,
  Pool,
  Reservation,
  ReserveOptions,
} from "./engine/engine.ts";
export type {
  Connector,
  ConnectorStyle,
  GenerationDefaults,
  KvGroup,
  ModelCard,
  ResumeCapabilities,
  SpecialIds,
  TokenizerRef,
} from "./engine/model-card.ts";
export { contractVersion, hashSchemeXxh3 } from "./engine/model-card.ts";
export type {
  GenerateRequest,
  Grammar,
  Hints,
  Limits,
  Media,
  RequestInit,
  Sampling,
  TokenIds,
  WorkerEpoch,
} from "./engine/request.ts";
export { createRequest, greedy } from "./engine/request.ts";
export type { Handoff, HandoffLease, HandoffOutcome } from "./engine/handoff.ts";
export type { Finish, FinishReason, TokenBatch, TokenLogprob } from "./engine/token-batch.ts";
export type {
  MigrationCause,
  RequestEvent,
  RequestObserver,
  RoutedCandidate,
} from "./engine/request-event.ts";
export type {
  DefineEngineOptions,
  EngineFunction,
  EngineStep,
  TokenizerFile,
} from "./engine/define-engine.ts";
export { defineEngine } from "./engine/define-engine.ts";
export { extended } from "./engine/extended.ts";
export { wrapEngine } from "./engine/wrap-engine.ts";
export { collectIds } from "./engine/collect-ids.ts";

export type {
  Worker,
  WorkerCapacity,
  WorkerChange,
  WorkerHandle,
  WorkerRole,
  WorkerSource,
} from "./workers/worker.ts";
export type { KvCleared, KvEvent, KvEventBatch, KvRemoved, KvStored, KvTier } from "./kv/kv-event.ts";
export type { BlockScope } from "./block-names/block-scope.ts";
export { blockNameSeed, blockScopeSeed } from "./block-names/block-scope.ts";
export type { BlockMedia, BlockNamer, BlockNamerOptions } from "./block-names/block-namer.ts";
export { createBlockNamer, nameBlocks } from "./block-names/block-namer.ts";
export { xxh3 } from "./block-names/xxh3.ts";

export type { Layout, LayoutEngine, LayoutModel, LayoutParallelism, LayoutPool } from "./layout/layout.ts";
export { layoutJsonSchema, parseLayout } from "./layout/layout.ts";

export type {
  Admission,
  Observation,
  WorkerCondition,
  WorkerHealth,
  WorkerState,
} from "./health/worker-health.ts";
export type { ObservationRule, OutcomeType } from "./health/observation.ts";
export { observationRules } from "./health/observation.ts";
export { classifyFailure, outcomeObservation } from "./health/classify-failure.ts";
export type { Deadlines } from "./health/deadlines.ts";
export {
  createDeadlines,
  defaultDeadlines,
  kvTransferMs,
  longestDeadlineMs,
  stuckAfterMs,
} from "./health/deadlines.ts";
export type {
  HealthGroup,
  HealthGroupMember,
  HealthGroupOptions,
  WorkerHealthOptions,
} from "./health/health-group.ts";
export { createHealthGroup, createWorkerHealth } from "./health/health-group.ts";

export type { DetailRef, FetchRequest, FetchResponse, SnapshotRef } from "./gen/stator/v1/bulk_pb.ts";
export {
  BulkService,
  DetailRefSchema,
  FetchRequestSchema,
  FetchResponseSchema,
  SnapshotRefSchema,
} from "./gen/stator/v1/bulk_pb.ts";
export type {
  Connector,
  ContractRange,
  GenerationDefaults,
  KvGroup,
  ModelCard,
  ResumeCapabilities,
  SpecialIds,
  TokenizerRef,
} from "./gen/stator/v1/card_pb.ts";
export {
  ConnectorSchema,
  ContractRangeSchema,
  GenerationDefaultsSchema,
  KvGroupKind,
  KvGroupSchema,
  ModelCardSchema,
  ResumeCapabilitiesSchema,
  SpecialIdsSchema,
  Task,
  TokenizerRefSchema,
} from "./gen/stator/v1/card_pb.ts";
export type { Registration, ServiceInstance } from "./gen/stator/v1/discovery_pb.ts";
export { RegistrationSchema, ServiceInstanceSchema } from "./gen/stator/v1/discovery_pb.ts";
export type { ErrorInfo } from "./gen/stator/v1/error_pb.ts";
export { ErrorInfoSchema, ErrorKind } from "./gen/stator/v1/error_pb.ts";
export type { Handoff, HandoffLease, HandoffSource } from "./gen/stator/v1/handoff_pb.ts";
export {
  ConnectorStyle,
  FirstEmitter,
  HandoffLeaseSchema,
  HandoffSchema,
  HandoffSourceSchema,
} from "./gen/stator/v1/handoff_pb.ts";
export type {
  KvCleared,
  KvEvent,
  KvEventBatch,
  KvEventColumns,
  KvRemoved,
  KvStored,
} from "./gen/stator/v1/kv_event_pb.ts";
export {
  KvClearedSchema,
  KvEventBatchSchema,
  KvEventColumnsSchema,
  KvEventSchema,
  KvRemovedSchema,
  KvStoredSchema,
  KvTier,
} from "./gen/stator/v1/kv_event_pb.ts";
export type {
  GenerateRequest,
  Grammar,
  Hints,
  Limits,
  Media,
  Pin,
  Sampling,
  WorkerEpoch,
} from "./gen/stator/v1/request_pb.ts";
export {
  GenerateRequestSchema,
  GrammarKind,
  GrammarSchema,
  HintsSchema,
  LimitsSchema,
  MediaKind,
  MediaSchema,
  Mode,
  PinSchema,
  SamplingSchema,
  WorkerEpochSchema,
} from "./gen/stator/v1/request_pb.ts";
export type {
  EventsFrom,
  Failed,
  Finish,
  Heartbeat,
  Hello,
  Load,
  Logprobs,
  OutputDetail,
  Outputs,
  Rejected,
  SessionRequest,
  SessionResponse,
  Start,
  Status,
  StepFrame,
  Welcome,
} from "./gen/stator/v1/session_pb.ts";
export {
  EventsFromSchema,
  FailedSchema,
  FinishReason,
  FinishSchema,
  HeartbeatSchema,
  HelloSchema,
  LoadSchema,
  LogprobsSchema,
  OutputDetailSchema,
  OutputsSchema,
  RejectedSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  SessionService,
  StartSchema,
  StatusSchema,
  StepFrameSchema,
  WelcomeSchema,
} from "./gen/stator/v1/session_pb.ts";
export type { Worker, WorkerCapacity } from "./gen/stator/v1/worker_pb.ts";
export { WorkerCapacitySchema, WorkerRole, WorkerSchema } from "./gen/stator/v1/worker_pb.ts";
export type {
  AddWorkerRequest,
  AddWorkerResponse,
  DumpRequest,
  DumpResponse,
  ObserveRequest,
  ObserveResponse,
  ProgressRequest,
  ProgressResponse,
  ReleaseRequest,
  ReleaseResponse,
  RemoveWorkerRequest,
  RemoveWorkerResponse,
  ReserveRequest,
  ReserveResponse,
  RouteCandidate,
  RoutedPrompt,
  RoutedTarget,
  SelectRequest,
  SelectResponse,
  TargetDump,
} from "./gen/stator/v1/router_pb.ts";
export {
  AddWorkerRequestSchema,
  AddWorkerResponseSchema,
  DumpRequestSchema,
  DumpResponseSchema,
  ObserveOutcome,
  ObserveRequestSchema,
  ObserveResponseSchema,
  ProgressRequestSchema,
  ProgressResponseSchema,
  ReleaseRequestSchema,
  ReleaseResponseSchema,
  RemoveWorkerRequestSchema,
  RemoveWorkerResponseSchema,
  ReserveRequestSchema,
  ReserveResponseSchema,
  RouteCandidateSchema,
  RoutedPromptSchema,
  RoutedTargetSchema,
  RouterService,
  SelectRequestSchema,
  SelectResponseSchema,
  TargetDumpSchema,
} from "./gen/stator/v1/router_pb.ts";
export type { QueuedControl, QueuedJob, QueuedReply } from "./gen/stator/v1/queue_pb.ts";
export { QueuedControlSchema, QueuedJobSchema, QueuedReplySchema } from "./gen/stator/v1/queue_pb.ts";

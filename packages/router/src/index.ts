export type { RouterErrorCode } from "./errors/router-error.ts";
export { RouterError, routerErrorCodes } from "./errors/router-error.ts";

export type { ClosablePool, PoolOptions } from "./pool/create-pool.ts";
export { createPool, defaultPoolQueue } from "./pool/create-pool.ts";
export type {
  DisaggregatedCounts,
  DisaggregatedEngine,
  DisaggregatedOptions,
} from "./disaggregated/disaggregated.ts";
export { defaultUncachedTokens, disaggregated } from "./disaggregated/disaggregated.ts";
export type { When, WhenInput } from "./disaggregated/when.ts";
export { always, uncachedTokensAbove } from "./disaggregated/when.ts";
export type { MigratingCounts } from "./migrating/counts.ts";
export type { MigratingEngine } from "./migrating/migrating.ts";
export type { MigratingOptions } from "./migrating/options.ts";
export { migrating } from "./migrating/migrating.ts";
export { defaultAttempts, defaultMaxTrackedTokens } from "./migrating/options.ts";
export type { AdmittingEngine, AdmittingOptions } from "./admitting/admitting.ts";
export { admitting } from "./admitting/admitting.ts";
export type { RetryBudgetOptions } from "./migrating/retry-budget.ts";

export type {
  Booking,
  Candidate,
  Chosen,
  CostTerms,
  Decision,
  Explanation,
  Filter,
  Holding,
  ObserveResult,
  Pick,
  Policy,
  PolicyInput,
  PredictionRecord,
  ProbeRecord,
  Score,
  SelectOptions,
  SelectRequest,
  Selector,
  SelectorCard,
  Target,
  TargetLoad,
} from "./selector/selector.ts";
export type { CostOptions, SelectorOptions } from "./selector/options.ts";
export { createSelector } from "./selector/create-selector.ts";
export { taints } from "./selector/exclusions.ts";
export type { KvAwareOptions } from "./policies/kv-aware.ts";
export { kvAware } from "./policies/kv-aware.ts";
export type { Dynamo04Options } from "./policies/dynamo04.ts";
export { dynamo04 } from "./policies/dynamo04.ts";
export type { SessionAffinityOptions } from "./policies/session-affinity.ts";
export { sessionAffinity } from "./policies/session-affinity.ts";
export { leastLoaded, powerOfTwo, random, roundRobin } from "./policies/simple-policies.ts";
export type { PolicyParts } from "./policies/compose-policy.ts";
export { composePolicy } from "./policies/compose-policy.ts";
export { lowest } from "./policies/lowest.ts";

export type { GraphOptions, GraphRuntime } from "./layout/graph-from-layout.ts";
export type { DecisionSink, DecisionStream } from "./explain/decision-stream.ts";
export { decisionLog } from "./explain/decision-stream.ts";
export type { RecordingOptions, RecordingSelector } from "./explain/recording.ts";
export { recording } from "./explain/recording.ts";
export { graphFromLayout } from "./layout/graph-from-layout.ts";
export { policyByName, policyNames } from "./layout/policy-by-name.ts";

export type { RouterServiceHandle, RouterServiceOptions } from "./service/router-service.ts";
export { createRouterService, DEFAULT_RESERVATION_LEASE_MS } from "./service/router-service.ts";
export type { IndexerHandlerOptions } from "./service/indexer-handler.ts";
export { createIndexerHandler } from "./service/indexer-handler.ts";

export type { RecordedDecision } from "./explain/decision-log.ts";
export { encodeDecision, parseDecisions } from "./explain/decision-log.ts";
export type {
  ReplicaChosen,
  ReplicaMessage,
  ReplicaRequest,
  ReplicaWorker,
} from "./replicas/replica-message.ts";
export type { ReplicatedSelector, ReplicatedSelectorOptions } from "./replicas/replicated-selector.ts";
export { createReplicatedSelector } from "./replicas/replicated-selector.ts";
export type { ReplicaChannel, ReplicaGroup, ReplicaGroupOptions } from "./replicas/replica-group.ts";
export { createReplicaGroup } from "./replicas/replica-group.ts";
export type { PeerChannel, PeerChannelOptions } from "./replicas/peer-channel.ts";
export { createPeerChannel } from "./replicas/peer-channel.ts";
export type { IndexSnapshots, IndexSnapshotsOptions } from "./snapshot/index-snapshots.ts";
export { createIndexSnapshots } from "./snapshot/index-snapshots.ts";

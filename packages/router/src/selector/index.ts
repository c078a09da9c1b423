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
} from "./selector.ts";
export type { CostOptions, NowClock, SelectorOptions } from "./options.ts";
export { DEFAULT_APPROXIMATE_TTL_MS, DEFAULT_SPECULATIVE_TTL_MS, defaultCost } from "./options.ts";
export { createSelector } from "./create-selector.ts";
export { taints } from "./exclusions.ts";

export type { KvAwareOptions } from "../policies/kv-aware.ts";
export { kvAware } from "../policies/kv-aware.ts";
export type { Dynamo04Options } from "../policies/dynamo04.ts";
export { dynamo04 } from "../policies/dynamo04.ts";
export type { SessionAffinityOptions } from "../policies/session-affinity.ts";
export { sessionAffinity } from "../policies/session-affinity.ts";
export { leastLoaded, powerOfTwo, random, roundRobin } from "../policies/simple-policies.ts";
export type { PolicyParts } from "../policies/compose-policy.ts";
export { composePolicy } from "../policies/compose-policy.ts";
export { lowest } from "../policies/lowest.ts";
export { softmaxIndex } from "../policies/softmax.ts";

export type { RecordedDecision } from "../explain/decision-log.ts";
export { encodeDecision, parseDecisions } from "../explain/decision-log.ts";
export type { DecisionSink } from "../explain/decision-stream.ts";
export type { RecordingOptions, RecordingSelector } from "../explain/recording.ts";
export { recording } from "../explain/recording.ts";

export type {
  DumpedBlocks,
  PrefixIndex,
  PrefixIndexOptions,
  PrefixIndexStats,
  PrefixMatch,
  StoredBlocks,
} from "../index/prefix-index.ts";
export { DEFAULT_INDEX_BYTES, TIER_DEVICE, TIER_DISK, TIER_HOST } from "../index/prefix-index.ts";
export { createPrefixIndex } from "../index/create-prefix-index.ts";
export type { SharedIndexHandle, SharedIndexReader } from "../index/shared-index.ts";
export { openSharedIndex } from "../index/shared-index.ts";
export type { LinearEstimate } from "../load/linear-fit.ts";

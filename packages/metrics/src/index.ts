export type { Hierarchy, Metrics, MetricsOptions } from "./create-metrics.ts";
export { createMetrics } from "./create-metrics.ts";
export type { MetricsErrorCode } from "./metrics-error.ts";
export { MetricsError } from "./metrics-error.ts";
export type { Compat } from "./compat.ts";
export type { Alias, NameMapping } from "./name-map.ts";
export { nameMap, nameMapVersion } from "./name-map.ts";
export type { PromRegistry } from "./instruments/prom-metric.ts";
export { otherValue } from "./instruments/series-table.ts";
export type { RequestInfo, RequestOutcome, RequestRecorder } from "./serving/request-recorder.ts";
export type { PoolPlan } from "./serving/show-plan.ts";
export type { Slo, SloName } from "./serving/slo.ts";
export { defaultSlos } from "./serving/slo.ts";
export {
  decisionBuckets,
  durationBuckets,
  itlBuckets,
  ratioBuckets,
  stageBuckets,
  tokenBuckets,
  ttftBuckets,
  withEdges,
} from "./serving/buckets.ts";
export type { ObservedOptions } from "./serving/observed.ts";
export { observed } from "./serving/observed.ts";

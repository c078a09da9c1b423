import type { Counter, Family, Gauge, Histogram, Meter } from "@stator/core";
import {
  decisionBuckets,
  durationBuckets,
  itlBuckets,
  ratioBuckets,
  stageBuckets,
  tokenBuckets,
  ttftBuckets,
  withEdges,
} from "./buckets.ts";
import { type Slo, sloEdges } from "./slo.ts";

/** The named serving metrics that come from requests and workers. Other rooms add theirs through `Meter`. */
export interface ServingFamilies {
  readonly requests: Family<Counter, "model" | "endpoint" | "stream" | "status" | "error_type">;
  readonly duration: Family<Histogram, "model">;
  readonly ttft: Family<Histogram, "model">;
  readonly itl: Family<Histogram, "model">;
  readonly inputLength: Family<Histogram, "model">;
  readonly outputLength: Family<Histogram, "model">;
  readonly cached: Family<Histogram, "model">;
  readonly inputTokens: Family<Counter, "model">;
  readonly outputTokens: Family<Counter, "model">;
  readonly active: Family<Gauge, "model">;
  readonly stage: Family<Gauge, "stage">;
  readonly rejections: Family<Counter, "model" | "reason">;
  readonly cancellations: Family<Counter, "model" | "reason">;
  readonly migrations: Family<Counter, "model" | "kind" | "outcome" | "cause">;
  readonly migrationGap: Family<Histogram, "kind">;
  readonly recomputed: Family<Counter, "model">;
  readonly sloGood: Family<Counter, "model" | "slo">;
  readonly sloEvents: Family<Counter, "model" | "slo">;
  readonly sloObjective: Family<Gauge, "model" | "slo">;
  readonly sloThreshold: Family<Gauge, "model" | "slo">;
  readonly decision: Family<Histogram, "phase">;
  readonly hitRatio: Family<Histogram, "model" | "kind">;
  readonly routed: Family<Counter, "worker" | "phase">;
  readonly stageTime: Family<Histogram, "stage">;
  readonly transfer: Family<Histogram>;
  readonly transferredTokens: Family<Counter>;
}

/** Creates the request side of the serving set; every threshold of `slos` is a bucket edge. */
export function createServingFamilies(meter: Meter, slos: readonly Slo[]): ServingFamilies {
  const model = ["model"] as const;
  const families: ServingFamilies = {
    requests: meter.counter({
      name: "frontend_requests",
      help: "Requests that ended, by how. status: success, error, cancelled or rejected; error_type: the error code, empty on success.",
      labels: ["model", "endpoint", "stream", "status", "error_type"],
    }),
    duration: meter.histogram({
      name: "frontend_request_duration",
      unit: "seconds",
      help: "From a request's arrival to its end.",
      labels: model,
      buckets: withEdges(durationBuckets, sloEdges(slos, "duration")),
    }),
    ttft: meter.histogram({
      name: "frontend_time_to_first_token",
      unit: "seconds",
      help: "From a request's arrival to its first output token.",
      labels: model,
      buckets: withEdges(ttftBuckets, sloEdges(slos, "ttft")),
    }),
    itl: meter.histogram({
      name: "frontend_inter_token_latency",
      unit: "seconds",
      help: "Time between output tokens; a chunk of n tokens counts n times its gap divided by n.",
      labels: model,
      buckets: withEdges(itlBuckets, sloEdges(slos, "itl")),
    }),
    inputLength: meter.histogram({
      name: "frontend_input_sequence",
      unit: "tokens",
      help: "Prompt length of each request.",
      labels: model,
      buckets: tokenBuckets,
    }),
    outputLength: meter.histogram({
      name: "frontend_output_sequence",
      unit: "tokens",
      help: "Output length of each choice.",
      labels: model,
      buckets: tokenBuckets,
    }),
    cached: meter.histogram({
      name: "frontend_cached",
      unit: "tokens",
      help: "Prompt tokens of each request that were not computed again.",
      labels: model,
      buckets: withEdges(tokenBuckets, [0]),
    }),
    inputTokens: meter.counter({
      name: "frontend_input",
      unit: "tokens",
      help: "Prompt tokens of requests that ended.",
      labels: model,
    }),
    outputTokens: meter.counter({
      name: "frontend_output",
      unit: "tokens",
      help: "Output tokens, counted as they come.",
      labels: model,
    }),
    active: meter.gauge({
      name: "frontend_active",
      unit: "requests",
      help: "Requests between arrival and end.",
      labels: model,
    }),
    stage: meter.gauge({
      name: "frontend_stage",
      unit: "requests",
      help: "Choices in each stage: queued, prefill, transfer, decode.",
      labels: ["stage"],
    }),
    rejections: meter.counter({
      name: "frontend_rejections",
      help: "Requests refused for lack of capacity or of a worker.",
      labels: ["model", "reason"],
    }),
    cancellations: meter.counter({
      name: "frontend_cancellations",
      help: "Requests that their client gave up, by the stage they were in.",
      labels: ["model", "reason"],
    }),
    migrations: meter.counter({
      name: "migrations",
      help: "Requests moved to another worker. kind: new_request before the first token, ongoing_request after it.",
      labels: ["model", "kind", "outcome", "cause"],
    }),
    migrationGap: meter.histogram({
      name: "migration_gap",
      unit: "seconds",
      help: "From a worker's last token to the next one's first.",
      labels: ["kind"],
      buckets: stageBuckets,
    }),
    recomputed: meter.counter({
      name: "migration_recomputed",
      unit: "tokens",
      help: "Tokens computed again because their worker was lost.",
      labels: model,
    }),
    sloGood: meter.counter({
      name: "slo_good",
      help: "Events within an objective.",
      labels: ["model", "slo"],
    }),
    sloEvents: meter.counter({
      name: "slo_events",
      help: "Events that an objective judges: requests, first tokens or tokens.",
      labels: ["model", "slo"],
    }),
    sloObjective: meter.gauge({
      name: "slo_objective",
      unit: "ratio",
      help: "Share of good events that is promised.",
      labels: ["model", "slo"],
    }),
    sloThreshold: meter.gauge({
      name: "slo_threshold",
      unit: "seconds",
      help: "Upper bound of a good event.",
      labels: ["model", "slo"],
    }),
    decision: meter.histogram({
      name: "router_decision",
      unit: "seconds",
      help: "Time that one routing decision took.",
      labels: ["phase"],
      buckets: decisionBuckets,
    }),
    hitRatio: meter.histogram({
      name: "router_kv_hit",
      unit: "ratio",
      help: "Share of a prompt found in a worker's KV cache: predicted when routed, actual at the end.",
      labels: ["model", "kind"],
      buckets: ratioBuckets,
    }),
    routed: meter.counter({
      name: "router_routed",
      unit: "requests",
      help: "Routing decisions by chosen worker.",
      labels: ["worker", "phase"],
    }),
    stageTime: meter.histogram({
      name: "frontend_stage",
      unit: "seconds",
      help: "Time a choice spent in each stage.",
      labels: ["stage"],
      buckets: stageBuckets,
    }),
    transfer: meter.histogram({
      name: "kv_handoff",
      unit: "seconds",
      help: "Time to move one prompt's KV from prefill to decode.",
      buckets: stageBuckets,
    }),
    transferredTokens: meter.counter({
      name: "kv_handoff",
      unit: "tokens",
      help: "Prompt tokens whose KV moved from prefill to decode.",
    }),
  };
  // What is known to exist starts at 0: absence would mean that nobody measures it.
  for (const stage of ["queued", "prefill", "transfer", "decode"]) {
    families.stage.labels({ stage });
    families.stageTime.labels({ stage });
  }
  for (const kind of ["new_request", "ongoing_request"]) families.migrationGap.labels({ kind });
  return families;
}

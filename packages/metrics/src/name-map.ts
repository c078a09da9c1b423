/** Version of the table below; raised with every change of a name in it. */
export const nameMapVersion: number = 1;

/** Another system's name for one of our metrics, as a compatibility exposition serves it. */
export interface Alias {
  readonly name: string;
  /** Their label by ours; labels that are not named are left out. */
  readonly labels: Readonly<Record<string, string>>;
  /** Values of their labels that are not ours, by their label and our value. */
  readonly values?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** One metric under the names of all systems. Names without prefix are ours, without `stator_`. */
export interface NameMapping {
  readonly stator: string;
  readonly dynamo?: Alias;
  /** Served by `compat: ["gie"]`: the names that an endpoint picker of the Gateway API inference extension reads by default. */
  readonly gie?: Alias;
  /** Nearest name of vLLM, for those who move dashboards; not served unless under `gie`. */
  readonly vllm?: string;
  /** Name in the OpenTelemetry GenAI conventions. */
  readonly otel?: string;
}

const model = { model: "model" } as const;

/**
 * Sources: Dynamo 0.4 and 1.x `prometheus_names`, vLLM 0.11 metrics page, Gateway API inference extension proposal 003
 * (model server protocol), OpenTelemetry GenAI conventions of 2026.
 */
export const nameMap: readonly NameMapping[] = [
  {
    stator: "frontend_requests_total",
    dynamo: {
      name: "dynamo_frontend_requests_total",
      labels: {
        model: "model",
        endpoint: "endpoint",
        stream: "request_type",
        status: "status",
        error_type: "error_type",
      },
      values: {
        request_type: { true: "stream", false: "unary" },
        status: { rejected: "error", cancelled: "error" },
      },
    },
    vllm: "vllm:request_success_total",
  },
  {
    stator: "frontend_request_duration_seconds",
    dynamo: { name: "dynamo_frontend_request_duration_seconds", labels: model },
    vllm: "vllm:e2e_request_latency_seconds",
    otel: "gen_ai.server.request.duration",
  },
  {
    stator: "frontend_time_to_first_token_seconds",
    dynamo: { name: "dynamo_frontend_time_to_first_token_seconds", labels: model },
    vllm: "vllm:time_to_first_token_seconds",
    otel: "gen_ai.server.time_to_first_token",
  },
  {
    stator: "frontend_inter_token_latency_seconds",
    dynamo: { name: "dynamo_frontend_inter_token_latency_seconds", labels: model },
    vllm: "vllm:inter_token_latency_seconds",
    otel: "gen_ai.server.time_per_output_token",
  },
  {
    stator: "frontend_input_sequence_tokens",
    dynamo: { name: "dynamo_frontend_input_sequence_tokens", labels: model },
    vllm: "vllm:request_prompt_tokens",
  },
  {
    stator: "frontend_output_sequence_tokens",
    dynamo: { name: "dynamo_frontend_output_sequence_tokens", labels: model },
    vllm: "vllm:request_generation_tokens",
  },
  { stator: "frontend_cached_tokens", dynamo: { name: "dynamo_frontend_cached_tokens", labels: model } },
  {
    stator: "frontend_input_tokens_total",
    vllm: "vllm:prompt_tokens_total",
    otel: "gen_ai.client.inference.tokens",
  },
  {
    stator: "frontend_output_tokens_total",
    dynamo: { name: "dynamo_frontend_output_tokens_total", labels: model },
    vllm: "vllm:generation_tokens_total",
    otel: "gen_ai.client.inference.tokens",
  },
  {
    stator: "frontend_active_requests",
    dynamo: { name: "dynamo_frontend_inflight_requests", labels: model },
  },
  {
    stator: "frontend_rejections_total",
    dynamo: { name: "dynamo_frontend_model_rejection_total", labels: model },
  },
  {
    stator: "frontend_cancellations_total",
    dynamo: { name: "dynamo_frontend_model_cancellation_total", labels: model },
  },
  {
    stator: "migrations_total",
    dynamo: {
      name: "dynamo_frontend_model_migration_total",
      labels: { model: "model", kind: "migration_type" },
    },
  },
  { stator: "migration_recomputed_tokens_total", vllm: "vllm:prompt_tokens_recomputed_total" },
  {
    stator: "router_kv_hit_ratio",
    dynamo: { name: "dynamo_component_router_kv_hit_rate", labels: { model: "model", kind: "kind" } },
  },
  {
    stator: "worker_running_requests",
    dynamo: {
      name: "dynamo_component_inflight_requests",
      labels: { worker: "worker_id", role: "dynamo_component" },
    },
    gie: { name: "vllm:num_requests_running", labels: { worker: "engine", model: "model_name" } },
    vllm: "vllm:num_requests_running",
  },
  {
    stator: "worker_waiting_requests",
    gie: { name: "vllm:num_requests_waiting", labels: { worker: "engine", model: "model_name" } },
    vllm: "vllm:num_requests_waiting",
  },
  {
    stator: "worker_kv_usage_ratio",
    dynamo: {
      name: "dynamo_component_gpu_cache_usage_percent",
      labels: { worker: "worker_id", role: "dynamo_component" },
    },
    gie: { name: "vllm:kv_cache_usage_perc", labels: { worker: "engine", model: "model_name" } },
    vllm: "vllm:kv_cache_usage_perc",
  },
  {
    stator: "worker_cache_info",
    gie: {
      name: "vllm:cache_config_info",
      labels: { worker: "engine", block_size: "block_size", blocks: "num_gpu_blocks" },
    },
    vllm: "vllm:cache_config_info",
  },
  {
    stator: "kv_events_total",
    dynamo: {
      name: "dynamo_component_kv_cache_events_applied",
      labels: { worker: "worker_id", type: "event_type" },
    },
  },
];

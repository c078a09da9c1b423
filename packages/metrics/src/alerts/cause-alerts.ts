import type { Rule, RuleGroup } from "./rules.ts";

interface Cause {
  readonly name: string;
  readonly expr: string;
  readonly holds: string;
  readonly summary: string;
  readonly todo: string;
}

/** Tickets that say why, besides the burn rates that say that users suffer. `p` is the prefix with its underscore. */
function causes(p: string): readonly Cause[] {
  return [
    {
      name: "StoreDown",
      expr: `min by (store) (${p}store_up) == 0`,
      holds: "2m",
      summary: "{{ $labels.store }} does not answer",
      todo: "Serving goes on from the last known set of workers; new workers are not seen until it is back.",
    },
    {
      name: "NoReadyWorker",
      expr: `sum by (role) (${p}registry_instances{state="ready"}) == 0 and sum by (role) (${p}registry_instances) > 0`,
      holds: "2m",
      summary: "No {{ $labels.role }} worker is ready",
      todo: "Look at the workers' health on the console and at their logs.",
    },
    {
      name: "WorkersBelowTarget",
      expr: `sum by (role) (${p}registry_instances{state="ready"}) < on (role) sum by (role) (${p}planner_target_replicas)`,
      holds: "2m",
      summary: "Fewer {{ $labels.role }} workers are ready than the planner asks for",
      todo: "Check the scaler's events, GPU quota and the workers' start-up logs.",
    },
    {
      name: "MigrationsFail",
      expr: `sum(rate(${p}migrations_total{outcome="failed"}[10m])) / sum(rate(${p}migrations_total[10m])) > 0.01`,
      holds: "10m",
      summary: "{{ $value | humanizePercentage }} of migrations fail",
      todo: "Check that workers of one model share weights and tokenizer digests, and that capacity is left when one dies.",
    },
    {
      name: "DetectionSlow",
      expr: `histogram_quantile(0.99, sum by (le) (rate(${p}detection_seconds_bucket[10m]))) > 2`,
      holds: "5m",
      summary: "Dead workers are noticed after {{ $value | humanizeDuration }}",
      todo: "Check the event loop delay of the frontends and the network between them and the workers.",
    },
    {
      name: "KvCacheFull",
      expr: `${p}worker_kv_usage_ratio > 0.95`,
      holds: "5m",
      summary: "KV cache of {{ $labels.worker }} is {{ $value | humanizePercentage }} full",
      todo: "Add workers, or lower the concurrency per worker.",
    },
    {
      name: "KvEventGaps",
      expr: `sum by (worker) (rate(${p}kv_event_gap_total[5m])) > 0`,
      holds: "5m",
      summary: "KV events of {{ $labels.worker }} are lost",
      todo: "Routing goes on with an older view of that worker's cache; check the event plane's load.",
    },
    {
      name: "KvIndexMismatch",
      expr: `sum(increase(${p}kv_index_digest_mismatch_total[10m])) > 0`,
      holds: "1m",
      summary: "A KV index disagrees with its worker",
      todo: "The index rebuilds itself from a snapshot; if it repeats, check block sizes and hash schemes of the workers.",
    },
    {
      name: "QueueOld",
      expr: `histogram_quantile(0.99, sum by (le) (rate(${p}frontend_stage_seconds_bucket{stage="queued"}[5m]))) > on () max(${p}slo_threshold_seconds{slo="ttft"})`,
      holds: "5m",
      summary: "Requests wait {{ $value | humanizeDuration }} before they start",
      todo: "Add workers, or admit less: nothing that waits this long can meet its first-token objective.",
    },
    {
      name: "EventLoopSlow",
      expr: "nodejs_eventloop_lag_p99_seconds > 0.1",
      holds: "5m",
      summary: "The event loop of {{ $labels.instance }} is {{ $value | humanizeDuration }} late",
      todo: "Heartbeats come late too. Profile the process; move heavy work off the loop or add frontends.",
    },
    {
      name: "GpuXid",
      expr: `${p}gpu_last_xid != 0`,
      holds: "0m",
      summary: "GPU {{ $labels.gpu }} of {{ $labels.instance }} reports XID {{ $value }}",
      todo: "Look the number up in NVIDIA's XID table; drain the worker on that GPU.",
    },
    {
      name: "GpuSourceLost",
      expr: `sum by (instance) (${p}gpu_source_up) == 0 and sum by (instance) (max_over_time(${p}gpu_source_up[1h])) > 0`,
      holds: "5m",
      summary: "{{ $labels.instance }} sees its GPUs no more",
      todo: "Check dcgm-exporter or the driver on that machine.",
    },
    {
      name: "SnapshotFails",
      expr: `sum(increase(${p}snapshot_failures_total[15m])) > 0`,
      holds: "0m",
      summary: "Snapshots of KV caches cannot be fetched",
      todo: "Routing goes on with what events told; look at the workers' bulk connections and their logs.",
    },
    {
      name: "PredictionsDistrusted",
      expr: `max by (worker) (${p}router_predictions_distrusted) > 0`,
      holds: "5m",
      summary: "{{ $labels.worker }} is routed by load alone: its predicted cache hits do not come true",
      todo: "Compare block size, tokenizer and hash scheme of that worker and the router, and whether its events arrive.",
    },
    {
      name: "PredictionsUnderstated",
      expr: `max by (worker) (${p}router_predictions_understated) > 0`,
      holds: "5m",
      summary: "{{ $labels.worker }} finds more in its cache than its KV events say",
      todo: "Look at that worker's event feed, and whether the router's index.maxBytes holds the blocks of all workers.",
    },
    {
      name: "EventsMissing",
      expr: `max by (worker) (${p}router_events_missing) > 0`,
      holds: "5m",
      summary:
        "What {{ $labels.worker }} computes does not come back as KV events: it is routed by the router's own decisions",
      todo: "Look at that worker's event feed (address, topic, port per rank), then at block size and hash scheme.",
    },
    {
      name: "ScrapeSlow",
      expr: `${p}metrics_scrape_seconds > 0.2`,
      holds: "5m",
      summary: "Metrics of {{ $labels.instance }} take {{ $value | humanizeDuration }}",
      todo: "Look for a metric with too many label sets: stator_metrics_dropped_labels_total names it.",
    },
    {
      name: "LabelsFolded",
      expr: `sum by (metric) (increase(${p}metrics_dropped_labels_total[15m])) > 0`,
      holds: "15m",
      summary: "{{ $labels.metric }} has more label sets than its limit",
      todo: "Drop the label that has no bound, or raise maxLabelSets.",
    },
  ];
}

/** Cause alerts as tickets, and a dead man's switch that always fires: silence means that alerting itself is broken. */
export function causeGroup(prefix: string): RuleGroup {
  const rules = causes(`${prefix}_`).map(({ name, expr, holds, summary, todo }): Rule => ({
    alert: `Stator${name}`,
    expr,
    for: holds,
    labels: { severity: "ticket" },
    annotations: { summary, description: todo },
  }));
  const deadMan: Rule = {
    alert: "StatorDeadMansSwitch",
    expr: "vector(1)",
    labels: { severity: "none" },
    annotations: {
      summary: "Alerting works",
      description: "Always fires. Route it to a service that tells you when it stops.",
    },
  };
  return { name: `${prefix}-causes`, rules: [...rules, deadMan] };
}

import { figure, heatmap, lines, mean, type Panel, percentiles, type Query, type Row } from "./panel.ts";

const rateWindow = "[$__rate_interval]";

/** Rows of the serving board: what users see first, then why. `p` is the prefix with its underscore. */
export function servingRows(p: string): readonly Row[] {
  return [
    slo(p),
    traffic(p),
    latency(p),
    routing(p),
    prefillAndDecode(p),
    kvTransfer(p),
    resilience(p),
    planner(p),
  ];
}

function slo(p: string): Row {
  const ratio = (name: string, window: string): string =>
    `sum(rate(${p}slo_good_total{slo="${name}", model=~"$model"}[${window}])) / sum(rate(${p}slo_events_total{slo="${name}", model=~"$model"}[${window}]))`;
  const burn = (window: string): string =>
    `(1 - sum by (slo) (rate(${p}slo_good_total{model=~"$model"}[${window}])) / sum by (slo) (rate(${p}slo_events_total{model=~"$model"}[${window}]))) / (1 - avg by (slo) (${p}slo_objective_ratio{model=~"$model"}))`;
  const good = (title: string, name: string): Panel =>
    figure(
      title,
      "percentunit",
      `Share of good events over the last hour, ${name} objective.`,
      ratio(name, "1h"),
      { thresholds: [0.999, 0.99], max: 1 },
    );
  return {
    title: "Objectives",
    panels: [
      good("Availability, 1 h", "availability"),
      good("First token in time, 1 h", "ttft"),
      good("Tokens in time, 1 h", "itl"),
      figure(
        "Least error budget left, 30 d",
        "percentunit",
        "Part of the month's error budget that is left, of the objective that has used most of it.",
        `min(1 - (1 - sum by (slo) (increase(${p}slo_good_total{model=~"$model"}[30d])) / sum by (slo) (increase(${p}slo_events_total{model=~"$model"}[30d]))) / (1 - avg by (slo) (${p}slo_objective_ratio{model=~"$model"})))`,
        { thresholds: [0.5, 0.1], max: 1 },
      ),
      lines(
        "Burn rate",
        "short",
        "How many times faster than allowed the error budget burns. 14.4 for an hour uses 2 % of a month's budget and pages.",
        [
          { expr: burn("1h"), legend: "{{slo}} 1 h" },
          { expr: burn("6h"), legend: "{{slo}} 6 h" },
        ],
        { width: 8 },
      ),
    ],
  };
}

function traffic(p: string): Row {
  const m = '{model=~"$model"}';
  return {
    title: "Traffic",
    panels: [
      lines("Requests per second", "reqps", "Requests that ended, by route.", [
        {
          expr: `sum by (endpoint) (rate(${p}frontend_requests_total${m}${rateWindow}))`,
          legend: "{{endpoint}}",
        },
      ]),
      lines(
        "Outcomes",
        "reqps",
        "Requests that ended, by outcome.",
        [
          {
            expr: `sum by (status) (rate(${p}frontend_requests_total${m}${rateWindow}))`,
            legend: "{{status}}",
          },
        ],
        {
          isStacked: true,
        },
      ),
      lines("Tokens per second", "short", "Prompt tokens in, output tokens out.", [
        { expr: `sum(rate(${p}frontend_input_tokens_total${m}${rateWindow}))`, legend: "in" },
        { expr: `sum(rate(${p}frontend_output_tokens_total${m}${rateWindow}))`, legend: "out" },
      ]),
      lines(
        "Requests in flight",
        "short",
        "Choices in each stage now.",
        [{ expr: `sum by (stage) (${p}frontend_stage_requests)`, legend: "{{stage}}" }],
        { isStacked: true },
      ),
      lines(
        "Input length",
        "short",
        "Prompt tokens per request.",
        percentiles(`${p}frontend_input_sequence_tokens`, m),
      ),
      lines(
        "Output length",
        "short",
        "Output tokens per choice.",
        percentiles(`${p}frontend_output_sequence_tokens`, m),
      ),
    ],
  };
}

function latency(p: string): Row {
  const m = '{model=~"$model"}';
  const cells = (name: string): string => `sum by (le) (rate(${p}${name}_bucket${m}${rateWindow}))`;
  return {
    title: "Latency",
    panels: [
      lines(
        "Time to first token",
        "s",
        "From arrival to the first output token.",
        percentiles(`${p}frontend_time_to_first_token_seconds`, m),
      ),
      lines(
        "Time between tokens",
        "s",
        "A chunk of n tokens counts n times its gap divided by n.",
        percentiles(`${p}frontend_inter_token_latency_seconds`, m),
      ),
      lines(
        "Request duration",
        "s",
        "From arrival to the end.",
        percentiles(`${p}frontend_request_duration_seconds`, m),
      ),
      heatmap(
        "Time to first token, spread",
        "s",
        "Requests by time to first token.",
        cells("frontend_time_to_first_token_seconds"),
      ),
      heatmap(
        "Time between tokens, spread",
        "s",
        "Tokens by time since the one before.",
        cells("frontend_inter_token_latency_seconds"),
      ),
      lines(
        "Stages",
        "s",
        "Mean time of a choice in each stage.",
        [{ expr: mean(`${p}frontend_stage_seconds`, "", "stage"), legend: "{{stage}}" }],
        { width: 24, isStacked: true },
      ),
    ],
  };
}

function routing(p: string): Row {
  const m = '{model=~"$model"}';
  return {
    title: "Routing",
    panels: [
      lines(
        "KV hit ratio",
        "percentunit",
        "Share of prompts found in KV cache: what the router expected, and what the worker said.",
        [{ expr: mean(`${p}router_kv_hit_ratio`, m, "kind"), legend: "{{kind}}" }],
        { max: 1 },
      ),
      lines(
        "Decision time",
        "s",
        "Time that one routing decision takes.",
        percentiles(`${p}router_decision_seconds`, "", "phase"),
      ),
      lines("Predicted against actual", "short", "Cached prompt tokens per second, of all workers.", [
        { expr: `sum(rate(${p}router_predicted_cached_tokens_total${rateWindow}))`, legend: "predicted" },
        { expr: `sum(rate(${p}router_actual_cached_tokens_total${rateWindow}))`, legend: "actual" },
      ]),
      lines("Requests routed", "reqps", "Decisions by chosen worker.", [
        {
          expr: `sum by (worker) (rate(${p}router_routed_requests_total${rateWindow}))`,
          legend: "{{worker}}",
        },
      ]),
      lines("Running, by worker", "short", "Requests in each worker's batch.", [
        { expr: `sum by (worker) (${p}worker_running_requests)`, legend: "{{worker}}" },
      ]),
      lines("Waiting, by worker", "short", "Requests that a worker accepted and does not run yet.", [
        { expr: `sum by (worker) (${p}worker_waiting_requests)`, legend: "{{worker}}" },
      ]),
      lines("KV events", "short", "Cache events from workers, and jumps in their sequence.", [
        { expr: `sum by (type) (rate(${p}kv_events_total${rateWindow}))`, legend: "{{type}}" },
        { expr: `sum(rate(${p}kv_event_gap_total${rateWindow}))`, legend: "gaps" },
      ]),
    ],
  };
}

function prefillAndDecode(p: string): Row {
  const byWorker = (name: string): readonly Query[] => [
    { expr: `sum by (worker) (${p}${name})`, legend: "{{worker}}" },
  ];
  return {
    title: "Prefill and decode",
    panels: [
      lines(
        "KV blocks in use",
        "percentunit",
        "Share of each worker's KV blocks in use.",
        byWorker("worker_kv_usage_ratio"),
        { max: 1 },
      ),
      lines(
        "Prefill backlog",
        "short",
        "Prompt tokens that each worker has still to compute.",
        byWorker("worker_queued_prefill_tokens"),
      ),
      lines("Engine steps", "ops", "Steps that each worker finishes per second.", [
        { expr: `sum by (worker) (rate(${p}worker_steps_total${rateWindow}))`, legend: "{{worker}}" },
      ]),
      lines("Requests by role", "short", "Running requests of prefill, decode and mixed workers.", [
        { expr: `sum by (role) (${p}worker_running_requests)`, legend: "{{role}}" },
      ]),
      lines(
        "KV handoff time",
        "s",
        "Time to move one prompt's KV from prefill to decode.",
        percentiles(`${p}kv_handoff_seconds`, ""),
      ),
      lines("KV handed off", "short", "Prompt tokens per second whose KV moved from prefill to decode.", [
        { expr: `sum(rate(${p}kv_handoff_tokens_total${rateWindow}))`, legend: "tokens" },
      ]),
    ],
  };
}

/** Figures of `@stator/kv-transfer`: where workers move KV themselves. */
function kvTransfer(p: string): Row {
  return {
    title: "KV transfer",
    isCollapsed: true,
    panels: [
      lines(
        "Transfer time",
        "s",
        "From post to completion of a KV transfer, by the way it took.",
        percentiles(`${p}kv_transfer_seconds`, "", "path"),
      ),
      lines("Transfer rate", "Bps", "Bytes moved per second, by way and direction.", [
        {
          expr: `sum by (path, operation) (rate(${p}kv_transfer_bytes_total${rateWindow}))`,
          legend: "{{path}} {{operation}}",
        },
      ]),
      lines("Transfers failed", "ops", "KV transfers that failed, by error code.", [
        {
          expr: `sum by (code) (rate(${p}kv_transfer_failures_total${rateWindow})) or vector(0)`,
          legend: "{{code}}",
        },
      ]),
    ],
  };
}

function resilience(p: string): Row {
  const rate = (name: string, by: string): string => `sum by (${by}) (rate(${p}${name}${rateWindow}))`;
  return {
    title: "Resilience",
    panels: [
      lines("Migrations", "ops", "Requests moved to another worker, by cause and outcome.", [
        {
          expr: `${rate("migrations_total", "cause, outcome")} or vector(0)`,
          legend: "{{cause}} {{outcome}}",
        },
      ]),
      lines(
        "Migration gap",
        "s",
        "From a lost worker's last token to the next one's first.",
        percentiles(`${p}migration_gap_seconds`, ""),
      ),
      lines("Tokens computed again", "short", "Per second, because their worker was lost.", [
        {
          expr: `sum(rate(${p}migration_recomputed_tokens_total${rateWindow})) or vector(0)`,
          legend: "tokens",
        },
      ]),
      lines(
        "Workers",
        "short",
        "Workers known, by health.",
        [{ expr: `sum by (state) (${p}registry_instances)`, legend: "{{state}}" }],
        { isStacked: true },
      ),
      lines("Ejections", "ops", "Workers taken out of service, by what they became.", [
        { expr: `${rate("ejections_total", "cause")} or vector(0)`, legend: "{{cause}}" },
      ]),
      lines(
        "Refused and given up",
        "ops",
        "Requests refused for lack of capacity, and those that their client cancelled.",
        [
          {
            expr: `${rate("frontend_rejections_total", "reason")} or vector(0)`,
            legend: "refused: {{reason}}",
          },
          {
            expr: `sum(rate(${p}frontend_cancellations_total${rateWindow})) or vector(0)`,
            legend: "cancelled",
          },
        ],
      ),
    ],
  };
}

function planner(p: string): Row {
  return {
    title: "Planner",
    isCollapsed: true,
    panels: [
      lines("Replicas wanted and there", "short", "What the planner wants of each role, and what it sees.", [
        { expr: `sum by (role) (${p}planner_target_replicas)`, legend: "{{role}} wanted" },
        { expr: `sum by (role) (${p}planner_current_replicas)`, legend: "{{role}} there" },
      ]),
      lines("Ready workers", "short", "What is ready by the frontends' own view.", [
        { expr: `sum by (role) (${p}registry_instances{state="ready"})`, legend: "{{role}}" },
      ]),
      lines("Scaling", "ops", "Changes of a target, by direction.", [
        {
          expr: `sum by (role, direction) (rate(${p}planner_scalings_total[$__rate_interval]))`,
          legend: "{{role}} {{direction}}",
        },
      ]),
    ],
  };
}

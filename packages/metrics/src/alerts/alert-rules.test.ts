import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { alertRules, writeAlertRules } from "@stator/metrics/alerts";
import { hasProgram } from "../testing/programs.ts";

const hasPromtool = hasProgram("promtool", "servers");

interface Case {
  readonly name: string;
  /** Series in promtool's notation: value+increment x steps, one a minute. */
  readonly series: Readonly<Record<string, string>>;
  readonly at: string;
  readonly fires: readonly string[];
  readonly silent?: readonly string[];
}

const availability = 'slo="availability",model="tiny"';
const steady = (labels: string, good: number, events: number, minutes = 400): Record<string, string> => ({
  [`stator_slo_good_total{${labels}}`]: `0+${good}x${minutes}`,
  [`stator_slo_events_total{${labels}}`]: `0+${events}x${minutes}`,
  [`stator_slo_objective_ratio{${labels}}`]: `${labels.includes("availability") ? 0.999 : 0.99}x${minutes}`,
});

const cases: readonly Case[] = [
  {
    name: "2 % of requests failing for an hour pages",
    series: steady(availability, 98, 100),
    at: "70m",
    fires: ["StatorAvailabilityBurnFast1h"],
  },
  {
    name: "an outage that is over pages no more, though the hour remembers it",
    series: {
      [`stator_slo_good_total{${availability}}`]: "0+50x60 3100+100x60",
      [`stator_slo_events_total{${availability}}`]: "0+100x120",
      [`stator_slo_objective_ratio{${availability}}`]: "0.999x120",
    },
    at: "75m",
    fires: [],
    silent: ["StatorAvailabilityBurnFast1h"],
  },
  {
    name: "0.7 % failing for six hours pages by the slower pair",
    series: steady(availability, 993, 1_000),
    at: "370m",
    fires: ["StatorAvailabilityBurnFast6h"],
    silent: ["StatorAvailabilityBurnFast1h"],
  },
  {
    name: "within the objective nothing fires",
    series: steady(availability, 9_995, 10_000),
    at: "370m",
    fires: [],
    silent: ["StatorAvailabilityBurnFast1h", "StatorAvailabilityBurnFast6h", "StatorAvailabilityBurnSlow3d"],
  },
  {
    name: "one failure of three in an hour is below the minimum traffic",
    series: {
      [`stator_slo_good_total{${availability}}`]: "0x30 2x60",
      [`stator_slo_events_total{${availability}}`]: "0x30 3x60",
      [`stator_slo_objective_ratio{${availability}}`]: "0.999x90",
    },
    at: "33m",
    fires: [],
    silent: ["StatorAvailabilityBurnFast1h"],
  },
  {
    name: "late first tokens page under their own name",
    series: steady('slo="ttft",model="tiny"', 80, 100),
    at: "70m",
    fires: ["StatorTtftBurnFast1h"],
    silent: ["StatorAvailabilityBurnFast1h"],
  },
  {
    name: "late tokens page under their own name",
    series: steady('slo="itl",model="tiny"', 8_000, 10_000),
    at: "70m",
    fires: ["StatorItlBurnFast1h"],
  },
  {
    name: "a store that is down for 2 minutes",
    series: { 'stator_store_up{store="redis"}': "1x5 0x10" },
    at: "9m",
    fires: ["StatorStoreDown"],
  },
  {
    name: "a store that was down for 1 minute",
    series: { 'stator_store_up{store="redis"}': "1x5 0 1x10" },
    at: "8m",
    fires: [],
    silent: ["StatorStoreDown"],
  },
  {
    name: "a role without a ready worker",
    series: {
      'stator_registry_instances{role="decode",state="ready"}': "2x5 0x10",
      'stator_registry_instances{role="decode",state="dead"}': "0x5 2x10",
    },
    at: "9m",
    fires: ["StatorNoReadyWorker"],
  },
  {
    name: "fewer workers than planned",
    series: {
      'stator_registry_instances{role="decode",state="ready"}': "2x20",
      'stator_planner_target_replicas{role="decode"}': "4x20",
    },
    at: "10m",
    fires: ["StatorWorkersBelowTarget"],
  },
  {
    name: "failing migrations",
    series: {
      'stator_migrations_total{outcome="failed"}': "0+1x60",
      'stator_migrations_total{outcome="resumed"}': "0+20x60",
    },
    at: "30m",
    fires: ["StatorMigrationsFail"],
  },
  {
    name: "a full KV cache",
    series: { 'stator_worker_kv_usage_ratio{worker="decode-0"}': "0.97x20" },
    at: "10m",
    fires: ["StatorKvCacheFull"],
  },
  {
    name: "KV event gaps",
    series: { 'stator_kv_event_gap_total{worker="decode-0"}': "0+1x30" },
    at: "15m",
    fires: ["StatorKvEventGaps"],
  },
  {
    name: "an index mismatch",
    series: { stator_kv_index_digest_mismatch_total: "0x5 1x20" },
    at: "8m",
    fires: ["StatorKvIndexMismatch"],
  },
  {
    name: "slow detection",
    series: {
      'stator_detection_seconds_bucket{le="1"}': "0+1x60",
      'stator_detection_seconds_bucket{le="5"}': "0+10x60",
      'stator_detection_seconds_bucket{le="+Inf"}': "0+10x60",
    },
    at: "30m",
    fires: ["StatorDetectionSlow"],
  },
  {
    name: "a queue older than the first-token objective",
    series: {
      'stator_frontend_stage_seconds_bucket{stage="queued",le="1"}': "0+1x60",
      'stator_frontend_stage_seconds_bucket{stage="queued",le="10"}': "0+10x60",
      'stator_frontend_stage_seconds_bucket{stage="queued",le="+Inf"}': "0+10x60",
      'stator_slo_threshold_seconds{slo="ttft",model="tiny"}': "2x60",
    },
    at: "30m",
    fires: ["StatorQueueOld"],
  },
  {
    name: "a late event loop",
    series: { 'nodejs_eventloop_lag_p99_seconds{instance="a"}': "0.3x20" },
    at: "10m",
    fires: ["StatorEventLoopSlow"],
  },
  {
    name: "an XID error",
    series: { 'stator_gpu_last_xid{gpu="0",instance="a"}': "0x5 79x10" },
    at: "7m",
    fires: ["StatorGpuXid"],
  },
  {
    name: "GPUs that are seen no more",
    series: { 'stator_gpu_source_up{instance="a",source="dcgm"}': "1x10 0x20" },
    at: "20m",
    fires: ["StatorGpuSourceLost"],
  },
  {
    name: "a machine that never had GPUs",
    series: { 'stator_gpu_source_up{instance="a",source="dcgm"}': "0x40" },
    at: "20m",
    fires: [],
    silent: ["StatorGpuSourceLost"],
  },
  {
    name: "failing snapshots",
    series: { stator_snapshot_failures_total: "0x5 1x20" },
    at: "8m",
    fires: ["StatorSnapshotFails"],
  },
  {
    name: "a worker whose blocks do not come back as events",
    series: { 'stator_router_events_missing{worker="decode-0"}': "1x20" },
    at: "10m",
    fires: ["StatorEventsMissing"],
  },
  {
    name: "a worker whose predictions do not come true",
    series: { 'stator_router_predictions_distrusted{worker="decode-0"}': "1x20" },
    at: "10m",
    fires: ["StatorPredictionsDistrusted"],
  },
  {
    name: "a worker that finds more than its events say",
    series: { 'stator_router_predictions_understated{worker="decode-0"}': "1x20" },
    at: "10m",
    fires: ["StatorPredictionsUnderstated"],
  },
  {
    name: "a slow scrape",
    series: { 'stator_metrics_scrape_seconds{instance="a"}': "0.4x20" },
    at: "10m",
    fires: ["StatorScrapeSlow"],
  },
  {
    name: "folded labels",
    series: { 'stator_metrics_dropped_labels_total{metric="x"}': "0+1x60" },
    at: "40m",
    fires: ["StatorLabelsFolded"],
  },
];

/** promtool's test file: each expected alert is looked up by its name through the ALERTS series. */
function testFile({ series, at, fires, silent = [] }: Case, rules: string): string {
  const expectations = [...fires, ...silent].map((alert) => ({
    expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) > 0`,
    eval_time: at,
    exp_samples: fires.includes(alert) ? [{ labels: "{}", value: 1 }] : [],
  }));
  return JSON.stringify({
    rule_files: [rules],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([key, values]) => ({ series: key, values })),
        promql_expr_test: [
          ...expectations,
          {
            expr: 'count(ALERTS{alertname="StatorDeadMansSwitch"})',
            eval_time: at,
            exp_samples: [{ labels: "{}", value: 1 }],
          },
        ],
      },
    ],
  });
}

describe.skipIf(!hasPromtool)("alert rules", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stator-rules-"));
  const rules = join(folder, "rules.yaml");
  await writeAlertRules(rules);

  test("promtool accepts them", () => {
    const said = execFileSync("promtool", ["check", "rules", rules], { encoding: "utf8" });
    expect(said).toContain("SUCCESS");
  });

  test("every cause alert has a case", () => {
    const named = new Set(cases.flatMap(({ fires }) => fires));
    const all = alertRules().flatMap(({ rules: list }) => list.flatMap(({ alert }) => alert ?? []));
    const without = all.filter((alert) => !named.has(alert) && !/Burn|DeadMan/.test(alert));
    expect(without).toEqual([]);
  });

  test.each(cases)("$name", (one) => {
    const file = join(folder, "test.json");
    writeFileSync(file, testFile(one, rules));
    expect(() =>
      execFileSync("promtool", ["test", "rules", file], { encoding: "utf8", stdio: "pipe" }),
    ).not.toThrow();
  });
});

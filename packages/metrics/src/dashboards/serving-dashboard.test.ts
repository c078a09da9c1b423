import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMetrics } from "@stator/metrics";
import {
  dashboardJson,
  lines,
  servingDashboard,
  servingDashboardRows,
  writeGrafanaProvisioning,
} from "@stator/metrics/dashboards";
import { createGpuSampler } from "@stator/metrics/gpu";

interface Placed {
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly panels?: readonly Placed[];
}

/** What other packages emit through their `Meter`; that they do is tested in tools/metric-emitters.test.ts. */
const ofOthers = /^stator_(kv_transfer_|router_(predicted|actual)_cached_)/;

test("every metric that a panel reads is one that this package exposes", async () => {
  const metrics = createMetrics();
  createGpuSampler({ metrics, sources: [] }).close();
  metrics.planned([{ pool: "decode", target: 2, current: 1 }]);
  const exposed = new Set(
    [...(await metrics.expose()).matchAll(/^# TYPE (\S+)/gm)].map((m) => m[1] as string),
  );
  const queries = servingDashboardRows().flatMap((row) =>
    row.panels.flatMap((panel) => panel.queries.map(({ expr }) => expr)),
  );
  for (const expr of queries) {
    for (const [name] of expr.matchAll(/\b(?:stator|nodejs|process)_\w+/g)) {
      const family = name.replace(/_(bucket|sum|count)$/, "");
      expect(exposed.has(name) || exposed.has(family) || ofOthers.test(name), name).toBe(true);
    }
  }
});

test("panels do not overlap, stay in 24 columns, and have ids of their own", () => {
  const board = servingDashboard() as unknown as { panels: Placed[] };
  const all = board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const cells = new Set<string>();
  for (const { gridPos } of all) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(cells.has(`${x},${y}`)).toBe(false);
        cells.add(`${x},${y}`);
      }
    }
  }
  expect(all.filter(({ type }) => type === "row").map(({ title }) => title)).toEqual([
    "Objectives",
    "Traffic",
    "Latency",
    "Routing",
    "Prefill and decode",
    "KV transfer",
    "Resilience",
    "Planner",
    "GPU",
    "Processes",
  ]);
});

test("one folder provisions a Grafana: data source, provider, board", async () => {
  const folder = mkdtempSync(join(tmpdir(), "grafana-"));
  const files = await writeGrafanaProvisioning({
    folder,
    mountedAt: "/etc/grafana/provisioning",
    prometheusUrl: "http://prom:9090",
  });
  expect(files.map((file) => file.slice(folder.length + 1))).toEqual([
    "datasources/stator.yaml",
    "dashboards/stator.yaml",
    "dashboards/stator-serving.json",
  ]);
  expect(readFileSync(files[0] as string, "utf8")).toContain('url: "http://prom:9090"');
  expect(readFileSync(files[1] as string, "utf8")).toContain('path: "/etc/grafana/provisioning/dashboards"');
  expect(JSON.parse(readFileSync(files[2] as string, "utf8"))).toEqual(
    JSON.parse(JSON.stringify(servingDashboard())),
  );
});

test("a prefix, a title and rows of the user's own are taken over", () => {
  const extraRows = [
    {
      title: "Guardrail",
      panels: [
        lines("Hits", "short", "Prompts refused.", [{ expr: "acme_guardrail_hits_total", legend: "hits" }]),
      ],
    },
  ];
  const text = JSON.stringify(servingDashboard({ prefix: "acme", title: "Acme", extraRows }));
  expect(text).toContain("acme_frontend_requests_total");
  expect(text).toContain("Guardrail");
  expect(text).not.toContain("stator_");
});

test("two panels of one name are refused", () => {
  const panel = lines("A", "short", "A.", [{ expr: "a", legend: "a" }]);
  expect(() =>
    dashboardJson({ title: "t", uid: "t", modelSource: "a", rows: [{ title: "r", panels: [panel, panel] }] }),
  ).toThrow('"A"');
  expect(() => dashboardJson({ title: "t", uid: "T T", modelSource: "a", rows: [] })).toThrow("uid");
});

// Alerts and panels name series; each must come from somewhere. Everything that measures is built here around one meter.
import { createAgent, loopback } from "@stator/kv-transfer";
import { createMetrics } from "@stator/metrics";
import { alertRules } from "@stator/metrics/alerts";
import { servingDashboardRows } from "@stator/metrics/dashboards";
import { createGpuSampler } from "@stator/metrics/gpu";
import { createPool } from "@stator/router";
import { createRuntime } from "@stator/runtime";
import { beforeAll, expect, test } from "vitest";

const exposed = new Set<string>();

beforeAll(async () => {
  const metrics = createMetrics();
  createGpuSampler({ metrics, sources: [] }).close();
  metrics.planned([]);
  await using runtime = await createRuntime({ metrics });
  const pool = createPool({ workers: runtime.workers(), meter: metrics });
  await using _agent = await createAgent({ transports: [loopback()], meter: metrics });
  for (const [, name] of (await metrics.expose()).matchAll(/^# TYPE (\S+)/gm)) exposed.add(name!);
  await pool.close();
});

/** Names that nobody emits, of all that these expressions read. */
function unknown(expressions: readonly string[]): string[] {
  const names = expressions.flatMap((expr) => [...expr.matchAll(/(?<!\w)(?:stator|nodejs|process)_\w+/g)]);
  return [...new Set(names.map(([name]) => name))].filter(
    (name) => !exposed.has(name) && !exposed.has(name.replace(/_(bucket|sum|count)$/, "")),
  );
}

test("every series of an alert or a recording has an emitter", () => {
  const expressions = alertRules().flatMap(({ rules }) => rules.map(({ expr }) => expr));
  expect(expressions.length).toBeGreaterThan(30);
  expect(unknown(expressions)).toEqual([]);
});

test("every series of a panel has an emitter", () => {
  const panels = servingDashboardRows().flatMap((row) => row.panels);
  expect(unknown(panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)))).toEqual([]);
});

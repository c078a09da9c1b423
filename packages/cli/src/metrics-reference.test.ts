import { format } from "prettier";
import { expect, test } from "vitest";
import { createMetrics, nameMap, nameMapVersion } from "@stator/metrics";
import { createGpuSampler } from "@stator/metrics/gpu";
import { advisory, createPlanner } from "@stator/planner";

/** The page of all metrics, made from what is exposed: `npx vitest run packages/cli/src/metrics-reference.test.ts -u` writes it anew. */
async function page(): Promise<string> {
  const metrics = createMetrics({ process: false });
  createGpuSampler({ metrics, sources: [] }).close();
  metrics.planned([]);
  // A planner's own join the others by being made.
  const planner = createPlanner({
    meter: metrics,
    observe: { read: () => Promise.reject(new Error("nothing is observed")) },
    scaler: advisory({
      state: () => ({ target: { prefill: 0, decode: 1 }, ready: { prefill: 0, decode: 1 } }),
      onAdvice: () => undefined,
    }),
    slo: { ttftMs: 200, itlMs: 10 },
    limits: { graph: "aggregated", gpus: 1 },
  });
  await planner.close();
  const rows = new Map<string, { type: string; help: string }>();
  for (const line of (await metrics.expose()).split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") rows.set(name, { type: "", help: rest });
    if (kind === "TYPE") (rows.get(name) as { type: string }).type = rest;
  }
  const table = [...rows]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, { type, help }]) => `| \`${name}\` | ${type} | ${help} |`);
  const other = (text: string | undefined): string => (text === undefined ? "–" : `\`${text}\``);
  const names = nameMap.map(
    (m) =>
      `| \`stator_${m.stator}\` | ${other(m.dynamo?.name)} | ${other(m.gie?.name)} | ${other(m.vllm)} | ${other(m.otel)} |`,
  );
  return [
    "# Metrics",
    "",
    "Generated from the code by `packages/cli/src/metrics-reference.test.ts`. Guide: [metrics](../metrics.md).",
    "",
    "| metric | type | what |",
    "|---|---|---|",
    ...table,
    "",
    "Besides these: `process_*` and `nodejs_*` of prom-client, and what other packages add through `Meter` (`stator_kv_transfer_*`, …).",
    "",
    `## Names of other systems (version ${nameMapVersion})`,
    "",
    'Served as well under `compat: ["dynamo"]` and `compat: ["gie"]`; the last two columns are for those who move dashboards.',
    "",
    "| Stator | Dynamo | Gateway API inference extension | vLLM | OpenTelemetry GenAI |",
    "|---|---|---|---|---|",
    ...names,
    "",
  ].join("\n");
}

test("the reference page lists every metric", async () => {
  const text = await format(await page(), { parser: "markdown", printWidth: 110 });
  await expect(text).toMatchFileSnapshot("../../../docs/reference/metrics.md");
});

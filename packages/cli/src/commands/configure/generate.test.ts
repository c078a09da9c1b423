import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseLayout } from "@stator/core";
import { parse } from "yaml";
import { plan } from "@stator/planner";
import { createProgram } from "../../program.ts";
import { readPlannerConfig } from "../planner/config.ts";
import { readProfile } from "../planner/flags.ts";

const folder = mkdtempSync(path.join(tmpdir(), "stator-generate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["aggregated", ["--no-search"]],
  ["disaggregated", ["--ttft", "4000", "--tpot", "12"]],
] as const)("a generated layout (%s) comes with what the planner scales it by", async (name, flags) => {
  const out = path.join(folder, name);
  const asked = ["--model", "meta-llama/Llama-3.1-70B", "--system", "h200", "--backend", "vllm"];
  await (
    await createProgram()
  ).parseAsync(
    [
      "configure",
      "generate",
      ...asked,
      "--gpus",
      "16",
      "--isl",
      "4096",
      "--osl",
      "512",
      "--out",
      out,
      ...flags,
    ],
    { from: "user" },
  );
  const config = readPlannerConfig(path.join(out, "planner.yaml"));
  const profile = readProfile(config.profile!);
  const layout = parseLayout(parse(readFileSync(path.join(out, "layout.yaml"), "utf8")));
  const pools = Object.values(layout.models["meta-llama/Llama-3.1-70B"]!.pools);
  expect(config.limits.graph).toBe(pools.length > 1 ? "disaggregated" : "aggregated");
  expect(config.limits.gpus).toBe(
    pools.reduce((sum, pool) => sum + pool.replicas * (pool.gpusPerReplica ?? 0), 0),
  );
  const load = { requestsPerSecond: 1, requestsPerSecondUpper: 1, inputTokens: 4096, outputTokens: 512 };
  const still = { prefill: pools.length > 1 ? 1 : 0, decode: 1 };
  const decided = plan(
    { intervals: [], target: still, ready: still, sinceChangeMs: { prefill: 1e9, decode: 1e9 } },
    { ...load, prefixHitRatio: 0 },
    profile,
    { ttftMs: config.slo.ttftMs, itlMs: config.slo.itlMs },
    { graph: config.limits.graph, gpus: config.limits.gpus },
  );
  expect(decided.decode).toBeGreaterThan(0);
  expect(Number.isFinite(decided.predictedItlMs)).toBe(true);
});

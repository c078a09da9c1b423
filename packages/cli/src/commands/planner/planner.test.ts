import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { PlannerService, type GetPlanResponse } from "@stator/contracts";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createMetrics } from "@stator/metrics";
import { parseProfile, type WorkerSuggestion } from "@stator/planner";

const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx/cli");
let folder: string;
let url: string;
let server: ReturnType<typeof createOpenAIServer>;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "stator-planner-"));
  const engine = createSimulatedEngine({
    model: "sim",
    stepTime: linearStepTime({ baseMs: 4, perPrefillTokenMs: 0.2 }),
    contextTokens: 8192,
  });
  server = createOpenAIServer({ models: { sim: engine }, metrics: createMetrics() });
  ({ url } = await server.listen({ port: 0, host: "127.0.0.1" }));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

function stator(args: readonly string[], onOut?: (out: string, stop: () => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, [tsx, "--conditions=@stator/source", main, ...args]);
  let out = "";
  let error = "";
  let hasStopped = false;
  const stop = (): void => {
    if (!hasStopped) child.kill("SIGTERM");
    hasStopped = true;
  };
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    onOut?.(out, stop);
  });
  child.stderr.on("data", (chunk: Buffer) => (error += chunk.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, error })));
}

async function askPlanner(baseUrl: string, metricsUrl: string): Promise<[GetPlanResponse, string]> {
  const client = createClient(PlannerService, createConnectTransport({ baseUrl, httpVersion: "2" }));
  const exposition = await (await fetch(metricsUrl)).text();
  return [await client.getPlan({}), exposition];
}

test("profile suggests the configuration of each role that does most per GPU", async () => {
  const { code, out, error } = await stator(["profile", "--slo", "ttft=200,itl=10", "--json"]);
  expect(code, error).toBe(0);
  const { suggestion } = JSON.parse(out) as { suggestion: WorkerSuggestion };
  for (const role of ["prefill", "decode"] as const) {
    const [best] = suggestion[role];
    expect(suggestion[role].length).toBeGreaterThan(1);
    expect(best!.tokensPerSecondPerGpu).toBe(
      Math.max(...suggestion[role].map((one) => one.tokensPerSecondPerGpu)),
    );
    expect(best!.tokensPerSecondPerGpu).toBeGreaterThan(0);
  }
}, 60_000);

test("profile measures a server, goes on from what is there, and planner runs on it and says why", async () => {
  const file = path.join(folder, "profile.json");
  const flags = [
    "--url",
    url,
    "--inputs",
    "16,512",
    "--contexts",
    "64",
    "--concurrency",
    "1,4",
    "--output-tokens",
    "8",
  ];
  // As if a run had been cut off after its first point.
  writeFileSync(
    `${file}.partial`,
    JSON.stringify({
      settings: { url, outputTokens: 8, maxKvTokens: 100_000 },
      model: "sim",
      points: { "prefill of 16 words": { inputTokens: 20, ttftMs: 8.25 } },
    }),
  );
  const measured = await stator(["profile", ...flags, "-o", file]);
  expect(measured.code, measured.error).toBe(0);
  const profile = parseProfile(JSON.parse(readFileSync(file, "utf8")));
  expect(profile.prefill.points[0]).toEqual({ inputTokens: 20, ttftMs: 8.25 });
  expect(profile.prefill.points[1]!.ttftMs).toBeGreaterThan(50);
  expect(profile.decode.points).toHaveLength(2);
  expect(profile.model).toBe("sim");
  expect(existsSync(`${file}.partial`)).toBe(false);

  const config = path.join(folder, "planner.yaml");
  writeFileSync(
    config,
    [
      "profile: profile.json",
      "slo: { ttftMs: 2000, itlMs: 100 }",
      "limits: { graph: aggregated, gpus: 4 }",
      `metrics: { urls: ["${url}/metrics"], model: sim }`,
      "intervalSeconds: 0.4",
      "startupSeconds: 1",
      "forecasters: [constant, kalman]",
      "listen: { rpcPort: 0, httpPort: 0 }",
      "scaler: { kind: advisory, workers: { prefill: 0, decode: 3 } }",
    ].join("\n"),
  );
  let plan: Promise<[GetPlanResponse, string]> | undefined;
  const ran = await stator(["planner", "--config", config, "--explain"], (out, stop) => {
    const rpc = /PlannerService on (http:\S+)/.exec(out)?.[1];
    const http = /metrics on (http:\S+)/.exec(out)?.[1];
    if (!/advice: 0 prefill, 1 decode/.test(out) || rpc === undefined || http === undefined) return;
    plan ??= askPlanner(rpc, http).finally(stop);
  });
  expect(ran.code, ran.error).toBe(0);
  expect(ran.out).toMatch(/slow: .* 0\+3 to 0\+1/);
  expect(ran.out).toMatch(/decode idle: no load is expected/);
  const [{ decision, targets }, exposition] = await plan!;
  expect(decision!.target).toMatchObject({ prefill: 0, decode: 1 });
  expect(targets).toMatchObject({ gpus: 4, ttftMs: 2000 });
  expect(exposition).toMatch(/stator_planner_target_replicas\{role="decode"\} 1/);
}, 90_000);

test("replay prints the array of strategies", async () => {
  const args = [
    "--load",
    "constant,rate=4,duration=60,isl=500,osl=50",
    "--gpus",
    "4",
    "--startup-seconds",
    "10",
  ];
  const { code, out, error } = await stator([
    "planner",
    "replay",
    ...args,
    "--interval-seconds",
    "10",
    "--json",
  ]);
  expect(code, error).toBe(0);
  const rows = JSON.parse(out) as Record<string, unknown>[];
  expect(rows.map((row) => row["strategy"])).toEqual(["static", "reactive", "dynamo-0.4", "ours", "oracle"]);
  for (const row of rows)
    expect(row).toMatchObject({
      sloAttainment: expect.any(Number),
      gpuHours: expect.any(Number),
      scaleUps: expect.any(Number),
      scaleDowns: expect.any(Number),
      meanTtftMs: expect.any(Number),
      p90TtftMs: expect.any(Number),
      meanItlMs: expect.any(Number),
      p90ItlMs: expect.any(Number),
    });
}, 60_000);

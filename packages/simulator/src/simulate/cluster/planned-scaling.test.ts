import { parseLayout, type Layout } from "@stator/core";
import { expect, test } from "vitest";
import { generateLoad } from "../../planner-replay/load-spec.ts";
import { plannedScaling } from "./planned-scaling.ts";
import { simulateLayout } from "../simulate-layout.ts";
import type { Simulation } from "../simulation.ts";
import { linearStepMs } from "../engine/step-ms.ts";
import type { WorkerModel } from "../engine/worker-model.ts";

const worker: WorkerModel = {
  stepMs: linearStepMs({ fixedMs: 5, msPerPrefillToken: 0.05, msPerSequence: 0.2 }),
  kvTokens: 200_000,
};
const startupMs = 20_000;

function layoutOf(pools: readonly string[]): Layout {
  const described = pools.map((name) => [
    name,
    { role: name === "workers" ? "both" : name, replicas: 1, engine: { kind: "simulated" } },
  ]);
  return parseLayout({
    models: { m: { slo: { ttftMs: 1000, itlMs: 30 }, pools: Object.fromEntries(described) as unknown } },
  });
}

function runOf(layout: Layout, load: string): Simulation {
  return simulateLayout({
    layout,
    workload: generateLoad(load).workload,
    worker,
    startupMs,
    scaling: plannedScaling({ layout, worker, limits: { gpus: 8 }, intervalMs: 20_000, startupMs }),
  });
}

/** Three minutes busy, then quiet. */
const load = "burst,base=1,burst=16,every=600,length=180,duration=500,isl=2000,osl=60";

test.each([[["workers"]], [["prefill", "decode"]]])(
  "%j: the planner adds workers for a burst within the budget and takes them away after it",
  (pools) => {
    const layout = layoutOf(pools);
    const run = runOf(layout, load);
    expect([run.completed, run.unfinished, run.rejected]).toEqual([run.requests, 0, 0]);
    const { scaleUps, scaleDowns, moments } = run.scaling!;
    expect(scaleUps).toBeGreaterThan(0);
    expect(scaleDowns).toBeGreaterThan(0);
    const sizes = moments.map(({ target }) => target.prefill + target.decode);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
    expect(Math.max(...sizes)).toBeGreaterThan(pools.length);
    expect(sizes.at(-1)).toBe(pools.length);
    // Some drained and left; what is held lies between never scaling and always holding the most.
    expect(run.workers.some(({ end }) => end === "drained")).toBe(true);
    const hours = run.durationMs / 3_600_000;
    expect(run.gpuHours).toBeGreaterThan(pools.length * hours);
    expect(run.gpuHours).toBeLessThan(Math.max(...sizes) * hours);
    const fixed = simulateLayout({ layout, workload: generateLoad(load).workload, worker });
    expect(run.ttftMs.p99).toBeLessThan(fixed.ttftMs.p99);
    expect(runOf(layout, load)).toEqual(run);
  },
);

test("without an SLO anywhere the planner is refused", () => {
  const { slo: _, ...model } = layoutOf(["workers"]).models["m"]!;
  expect(() =>
    plannedScaling({ layout: parseLayout({ models: { m: model } }), worker, limits: { gpus: 4 } }),
  ).toThrow(/SLO.*ttftMs and itlMs/);
});

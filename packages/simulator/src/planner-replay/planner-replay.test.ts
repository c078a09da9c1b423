import { expect, test } from "vitest";
import { generateLoad } from "./load-spec.ts";
import { plannerReplay, type PlannerReplayRow } from "./planner-replay.ts";
import { plannerReport } from "./report.ts";
import { runScaling } from "./run-scaling.ts";
import { modelledTimes, profileOfTimes } from "./serving-times.ts";

const times = modelledTimes();
const profile = profileOfTimes(times);
const slo = { ttftMs: 200, itlMs: 10 };
const base = { times, profile, slo, startupMs: 30_000, intervalMs: 30_000 };

test("on a sine ours keeps the SLO where last-value scaling does not, with fewer GPUs than its peak would take", () => {
  const rows = plannerReplay({
    ...base,
    ...generateLoad("sine,min=5,max=45,period=600,duration=900"),
    limits: { graph: "disaggregated", gpus: 16 },
    strategies: ["reactive", "ours"],
  });
  const of = (name: string): PlannerReplayRow => rows.find((row) => row.strategy === name)!;
  expect(of("ours").sloAttainment).toBeGreaterThan(0.98);
  expect(of("ours").sloAttainment).toBeGreaterThan(of("reactive").sloAttainment);
  // Three prefill and five decode workers serve 45 requests a second; a quarter of an hour of them is 2 GPU-hours.
  expect(of("ours").gpuHours).toBeLessThan(0.85 * 2);
  for (const { target } of of("ours").timeline)
    expect(target.prefill + target.decode).toBeLessThanOrEqual(16);
  expect(plannerReport(rows, "sine")).toContain("<svg");
});

test("a jump between two samples is answered before the next one", () => {
  const [row] = plannerReplay({
    ...base,
    ...generateLoad("step,before=5,after=25,at=302,duration=330"),
    limits: { graph: "disaggregated", gpus: 16 },
    strategies: ["ours"],
  });
  // Had it waited for the sample at 315 s, no worker would serve before 345 s: at 330 s none would be known of.
  const run = row!.timeline.find(({ atMs }) => atMs === 330_000)!;
  expect(run.target.prefill + run.target.decode).toBeGreaterThan(4);
  const [quiet] = plannerReplay({
    ...base,
    ...generateLoad("constant,rate=5,duration=330"),
    limits: { graph: "disaggregated", gpus: 16 },
    strategies: ["ours"],
  });
  expect(row!.gpuHours).toBeGreaterThan(quiet!.gpuHours);
});

test("when the load drops to zero the minimum is reached, in both graphs", () => {
  for (const graph of ["disaggregated", "aggregated"] as const) {
    const [row] = plannerReplay({
      ...base,
      ...generateLoad("drop,rate=10,at=200,duration=500,isl=500,osl=50"),
      limits: { graph, gpus: 12 },
      strategies: ["ours"],
    });
    expect(row!.timeline.at(-1)!.target).toEqual({ prefill: graph === "aggregated" ? 0 : 1, decode: 1 });
  }
});

test("a fixed cluster finishes every request and counts its GPU time exactly", () => {
  const { workload, durationMs } = generateLoad("constant,rate=5,duration=60");
  const run = runScaling({
    ...base,
    workload,
    durationMs,
    times,
    graph: "disaggregated",
    initial: { prefill: 1, decode: 2 },
    strategy: { decide: ({ target }) => target },
  });
  expect(run.gpuHours).toBeGreaterThanOrEqual((3 * 60) / 3600);
  expect(run.gpuHours).toBeLessThan((3 * 70) / 3600);
  expect(run.meanTtftMs).toBeGreaterThan(times.prefillMs(3000, 0) - 1e-6);
  expect(run.meanItlMs).toBeGreaterThan(times.decodeMs(1, 3000));
  expect(run.scaleUps + run.scaleDowns).toBe(0);
});

test("loads that are not known are refused by name", () => {
  expect(() => generateLoad("wobble")).toThrow(/No load "wobble"/);
  expect(() => generateLoad("sine,min=-1")).toThrow(/min=-1/);
});

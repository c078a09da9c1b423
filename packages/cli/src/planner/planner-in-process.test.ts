import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { PlannerService } from "@stator/contracts";
import { createPlanner, type Workers } from "@stator/planner";
import { createPlannerService } from "@stator/planner/service";
import { createRuntime, fileDiscovery } from "@stator/runtime";

test("a planner in a user's own process is found by name, watched, and given other targets", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "stator-planner-in-process-"));
  try {
    await using there = await createRuntime({ discovery: fileDiscovery({ dir }) });
    await using here = await createRuntime({ discovery: fileDiscovery({ dir }) });
    let target: Workers = { prefill: 0, decode: 1 };
    await using planner = createPlanner({
      observe: {
        read: () =>
          Promise.resolve({
            durationMs: 100,
            requests: 5,
            inputTokens: 1000,
            outputTokens: 100,
            prefixHitRatio: 0,
            workers: target,
            kvUsage: 0.95,
          }),
      },
      scaler: {
        state: () => Promise.resolve({ target, ready: target }),
        scale: (wanted) => Promise.resolve(void (target = wanted)),
      },
      slo: { ttftMs: 200, itlMs: 10 },
      limits: { graph: "aggregated", gpus: 2 },
      intervalMs: 100,
      startupMs: 0,
    });
    const service = createPlannerService({ planner });
    await there.serveService(PlannerService, service.implementation);

    const client = here.client(PlannerService);
    const { decision, targets } = await client.getPlan({ waitMs: 10_000 });
    expect(decision!.reasons.length).toBeGreaterThan(0);
    expect(targets).toMatchObject({ gpus: 2, ttftMs: 200 });
    await client.setTargets({ gpus: 4 });
    expect(planner.limits.gpus).toBe(4);
    // Memory is full: another worker with every decision, up to the new budget and not beyond.
    for await (const { decision: next } of client.watchPlan({})) if (next!.target!.decode === 4) break;
    expect(target).toEqual({ prefill: 0, decode: 4 });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}, 30_000);

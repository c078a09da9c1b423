import { parseLayout } from "@stator/core";
import { kvAware, roundRobin } from "@stator/router/selector";
import { expect, test } from "vitest";
import { modelledWorker, simulateLayout } from "./cluster/index.ts";
import { replay } from "./replay/index.ts";
import { constantRate, conversationWorkload } from "./workload/index.ts";

test("the README's comparison comes out as it says", () => {
  const workload = conversationWorkload({ rate: constantRate(1), durationMs: 60_000 });
  const cluster = { workers: 4, prefillTokensPerSecond: 8000, interTokenMs: 20, kvBlocks: 10_000 };
  const aware = replay(workload, { ...cluster, selector: { policy: kvAware() } });
  const turns = replay(workload, { ...cluster, selector: { policy: roundRobin() } });
  expect([aware.hitRatio > turns.hitRatio, aware.meanTtftMs < turns.meanTtftMs]).toEqual([true, true]);
});

test("the README's layout loses nothing when a decode worker fails", () => {
  const engine = { kind: "vllm" };
  const pools = {
    prefill: { role: "prefill", replicas: 1, engine },
    decode: { role: "decode", replicas: 2, engine },
  };
  const layout = parseLayout({ models: { llama: { pools } } });
  const worker = modelledWorker({ model: "meta-llama/Llama-3.1-8B", system: "h100" });
  const workload = conversationWorkload({ rate: constantRate(0.2), durationMs: 60_000 });
  const changes = [{ atMs: 20_000, type: "fail", worker: "decode-0" }] as const;
  const { completed, ttftMs, hitRatio, workers } = simulateLayout({ layout, worker, workload, changes });
  expect([completed === workload.length, workers[1]?.end]).toEqual([true, "failed"]);
  expect(ttftMs.p99).toBeGreaterThan(0);
  expect(hitRatio).toBeGreaterThan(0);
});

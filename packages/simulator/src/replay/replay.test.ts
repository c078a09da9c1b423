import { existsSync, readFileSync } from "node:fs";
import { dynamo04, kvAware, leastLoaded, roundRobin, type SelectorOptions } from "@stator/router/selector";
import { describe, expect, test } from "vitest";
import { constantRate } from "../workload/arrivals.ts";
import { conversationWorkload } from "../workload/conversations.ts";
import { parseMooncakeTrace } from "../workload/mooncake-trace.ts";
import { workloadStatistics } from "../workload/workload-statistics.ts";
import { replay, type ReplayResult } from "./replay.ts";

const workload = conversationWorkload({ rate: constantRate(1.2), durationMs: 180_000 });
const options = { workers: 8, prefillTokensPerSecond: 8000, interTokenMs: 20, kvBlocks: 10_000 };
const through = (selector: SelectorOptions, more: object = {}): ReplayResult =>
  replay(workload, { ...options, selector, ...more });

describe("replay", () => {
  test("finishes every request, with times that a FCFS queue allows", () => {
    const result = through({ policy: roundRobin() });
    expect(result.requests).toBe(workload.length);
    for (const outcome of result.outcomes) {
      expect(outcome.ttftMs).toBeGreaterThanOrEqual(
        ((outcome.inputTokens - outcome.cachedTokens) * 1000) / 8000 - 1e-6,
      );
      expect(outcome.finishedMs).toBeGreaterThanOrEqual(outcome.atMs + outcome.ttftMs - 1e-6);
    }
  });

  test("is the same for the same seed", () => {
    const summary = ({ outcomes, ...rest }: ReplayResult): object => ({
      ...rest,
      workers: outcomes.map((o) => o.worker),
    });
    expect(summary(through({ policy: dynamo04() }, { seed: 3 }))).toEqual(
      summary(through({ policy: dynamo04() }, { seed: 3 })),
    );
  });

  test("kv-aware reuses more and waits less than what it is compared with", () => {
    const ceiling = workloadStatistics(workload).ceilingHitRatio;
    const [kv, dynamo, least, turns] = [kvAware(), dynamo04(), leastLoaded(), roundRobin()].map((policy) =>
      through({ policy }),
    );
    expect(kv!.meanTtftMs).toBeLessThan(0.85 * dynamo!.meanTtftMs);
    expect(dynamo!.meanTtftMs).toBeLessThan(least!.meanTtftMs);
    expect(least!.meanTtftMs).toBeLessThan(turns!.meanTtftMs);
    expect(kv!.hitRatio).toBeGreaterThan(ceiling - 0.05);
    expect(kv!.imbalance).toBeLessThan(1.3);
  });

  test("the selector foresees first tokens once it has learned the fleet's speed", () => {
    const { outcomes } = through({ policy: kvAware() });
    const late = outcomes.slice(Math.floor(outcomes.length / 2));
    const error = late.reduce((sum, o) => sum + Math.abs(o.ttftMs - o.predictedMs), 0);
    expect(error / late.reduce((sum, o) => sum + o.ttftMs, 0)).toBeLessThan(0.1);
  });

  test("a closed loop keeps its concurrency", () => {
    const result = through({ policy: kvAware() }, { concurrency: 16 });
    const edges = result.outcomes.flatMap((o) => [[o.atMs, 1] as const, [o.finishedMs, -1] as const]);
    edges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let [running, most] = [0, 0];
    for (const [, step] of edges) most = Math.max(most, (running += step));
    expect(most).toBe(16);
  });

  const trace = new URL("../../../../../shared/traces/mooncake_trace_1000.jsonl", import.meta.url);
  test.skipIf(!existsSync(trace))("on a public trace, the issue's margins over Dynamo 0.4 hold", () => {
    const requests = parseMooncakeTrace(readFileSync(trace, "utf8"));
    expect(workloadStatistics(requests).ceilingHitRatio).toBeCloseTo(0.38, 2);
    for (const prefillTokensPerSecond of [8000, 12_000]) {
      const run = (selector: SelectorOptions): ReplayResult =>
        replay(requests, { ...options, prefillTokensPerSecond, selector });
      const kv = run({ policy: kvAware() });
      expect(kv.meanTtftMs).toBeLessThan(
        0.85 * run({ policy: dynamo04(), speculativeTtlMs: 0, approximateTtlMs: 0 }).meanTtftMs,
      );
      expect(kv.hitRatio).toBeGreaterThan(0.33);
    }
  });
});

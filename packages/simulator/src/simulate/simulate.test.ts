import { parseLayout, type Layout } from "@stator/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  constantRate,
  conversationWorkload,
  poissonArrivals,
  sharedPrefixWorkload,
  seededRandom,
  type TraceRequest,
} from "../workload/index.ts";
import {
  linearStepMs,
  modelledWorker,
  simulateLayout,
  SimulatorError,
  type Simulation,
} from "../cluster/index.ts";
import type { WorkerChange, WorkerModel } from "../cluster/index.ts";

function layoutOf(pools: Record<string, number>, policy?: string): Layout {
  const described = Object.entries(pools).map(([name, replicas]) => [
    name,
    {
      role: name === "workers" ? "both" : name,
      replicas,
      engine: { kind: "simulated" },
      gpusPerReplica: 1,
      ...(policy === undefined ? {} : { policy: { name: policy } }),
    },
  ]);
  return parseLayout({ models: { m: { pools: Object.fromEntries(described) as unknown } } });
}

/** Prompts that share nothing. */
function plain(arrivalsMs: readonly number[], inputTokens: number, outputTokens: number): TraceRequest[] {
  const blocks = Math.ceil(inputTokens / 512);
  return arrivalsMs.map((atMs, r) => ({
    atMs,
    inputTokens,
    outputTokens,
    blockIds: Array.from({ length: blocks }, (_, i) => r * blocks + i),
  }));
}

const worker: WorkerModel = {
  stepMs: linearStepMs({ fixedMs: 5, msPerPrefillToken: 0.05, msPerSequence: 0.1 }),
  kvTokens: 200_000,
};
const disaggregated = layoutOf({ prefill: 2, decode: 2 });

function expectEachEndsOnce(run: Simulation, requests: number): void {
  expect(run.requests).toBe(requests);
  expect(run.completed).toBe(requests);
  expect(run.unfinished + run.rejected).toBe(0);
  for (const outcome of run.outcomes) {
    expect(outcome.firstTokenMs).toBeGreaterThanOrEqual(outcome.atMs);
    expect(outcome.endMs).toBeGreaterThanOrEqual(outcome.firstTokenMs!);
  }
}

describe("closed forms", () => {
  test("one worker under Poisson arrivals of equal prompts waits as M/D/1 does", () => {
    const serviceMs = 100;
    const load = 0.7;
    const arrivals = poissonArrivals({
      rate: constantRate((load * 1000) / serviceMs),
      durationMs: 1_500_000,
      seed: 3,
    });
    const run = simulateLayout({
      layout: layoutOf({ workers: 1 }),
      workload: plain(arrivals, 1024, 1),
      // A step that takes one prompt whole, at a fixed rate.
      worker: {
        stepMs: linearStepMs({ msPerPrefillToken: serviceMs / 1024 }),
        kvTokens: 1e6,
        stepTokens: 1024,
      },
    });
    const waitMs = (load * serviceMs) / (2 * (1 - load));
    expect(run.ttftMs.mean).toBeGreaterThan((serviceMs + waitMs) * 0.93);
    expect(run.ttftMs.mean).toBeLessThan((serviceMs + waitMs) * 1.07);
  });

  test("a full worker's throughput is its batch over its step, and alone a request takes its steps", () => {
    const run = simulateLayout({
      layout: layoutOf({ workers: 1 }),
      workload: plain(
        Array.from({ length: 640 }, () => 0),
        64,
        400,
      ),
      worker: { ...worker, sequences: 64 },
      concurrency: 64,
    });
    const roundMs = 5 + 64 * 64 * 0.05 + 399 * (5 + 64 * 0.1);
    expect(run.outputTokensPerSecond / ((64 * 400 * 1000) / roundMs)).toBeCloseTo(1, 2);
    const alone = simulateLayout({
      layout: layoutOf({ workers: 1 }),
      workload: plain([0], 1000, 101),
      worker,
    });
    expect(alone.ttftMs.mean).toBeCloseTo(5 + 1000 * 0.05, 6);
    expect(alone.requestMs.mean).toBeCloseTo(55 + 100 * 5.1, 6);
  });

  test("transfers share a link: two at once take twice the time of one", () => {
    const model: WorkerModel = {
      ...worker,
      kvBytesPerToken: 1e6,
      linkBytesPerSecond: 1e9,
      stepTokens: 1 << 20,
    };
    const one = simulateLayout({
      layout: layoutOf({ prefill: 1, decode: 1 }),
      workload: plain([0], 1000, 2),
      worker: model,
    });
    const two = simulateLayout({
      layout: layoutOf({ prefill: 1, decode: 1 }),
      workload: plain([0, 0], 1000, 2),
      worker: model,
    });
    expect(one.transferMs.mean).toBeCloseTo(1 + 1000, 0);
    // The second is computed in the step after the first: 50 ms of the way one of them goes alone.
    expect(two.transferMs.max).toBeGreaterThan(1900);
    expect(two.transferredBytes).toBe(2 * one.transferredBytes);
  });
});

describe("what users count on", () => {
  const workload = conversationWorkload({ rate: constantRate(2), durationMs: 60_000, seed: 5 });

  test("equal seeds give equal runs, in both shapes", () => {
    for (const layout of [layoutOf({ workers: 4 }), disaggregated]) {
      const run = (): Simulation => simulateLayout({ layout, workload, worker });
      expect(run()).toEqual(run());
    }
  });

  test("prefix hits raise throughput, and routing by KV raises hits", () => {
    const random = seededRandom(1);
    const arrivalsMs = Array.from({ length: 400 }, () => 0);
    const shared = sharedPrefixWorkload({
      groups: 16,
      promptsPerGroup: 100,
      systemTokens: 8192,
      questionTokens: 512,
      outputTokens: 64,
      arrivalsMs,
      random,
    });
    const run = (work: readonly TraceRequest[], policy: string): Simulation =>
      simulateLayout({
        layout: layoutOf({ workers: 4 }, policy),
        workload: work,
        worker: { ...worker, kvTokens: 100_000 },
        concurrency: 16,
      });
    const aware = run(shared, "kv-aware");
    const turns = run(shared, "round-robin");
    const none = run(plain(arrivalsMs, 8704, 64), "kv-aware");
    expect(none.hitRatio).toBe(0);
    expect(aware.hitRatio).toBeGreaterThan(turns.hitRatio);
    expect(aware.requestsPerSecond).toBeGreaterThan(turns.requestsPerSecond);
    expect(turns.requestsPerSecond).toBeGreaterThan(1.5 * none.requestsPerSecond);
  });

  test("a host tier keeps what the device had to give up", () => {
    const small = { ...worker, kvTokens: 60_000 };
    const layout = layoutOf({ workers: 2 });
    const without = simulateLayout({ layout, workload, worker: small });
    const tiered = simulateLayout({ layout, workload, worker: { ...small, hostKvTokens: 2_000_000 } });
    expect(tiered.hitRatio).toBeGreaterThan(without.hitRatio * 1.2);
  });

  test("output beyond memory preempts, and everything still ends", () => {
    const run = simulateLayout({
      layout: layoutOf({ workers: 1 }),
      workload: plain(
        Array.from({ length: 40 }, (_, i) => i),
        512,
        600,
      ),
      worker: { ...worker, kvTokens: 24_576 },
    });
    expect(run.preemptions).toBeGreaterThan(0);
    expectEachEndsOnce(run, 40);
  });

  test("what can never fit is rejected, the rest goes on", () => {
    const run = simulateLayout({
      layout: layoutOf({ workers: 1 }),
      workload: [...plain([0], 300_000, 1), ...plain([1], 100, 1)],
      worker,
    });
    expect([run.rejected, run.completed]).toEqual([1, 1]);
  });

  test("modelled workers answer in the model's own times, and a model too big says so", () => {
    const layout = layoutOf({ prefill: 1, decode: 1 });
    const llama = modelledWorker({ model: "meta-llama/Llama-3.1-8B", system: "h100", backend: "vllm" });
    const run = simulateLayout({ layout, workload: plain([0, 10, 20], 3000, 50), worker: llama });
    expectEachEndsOnce(run, 3);
    expect(run.tpotMs.mean).toBeGreaterThan(3);
    expect(run.tpotMs.mean).toBeLessThan(30);
    const tooBig = modelledWorker({ model: "deepseek-ai/DeepSeek-R1", system: "h100" });
    expect(() => simulateLayout({ layout, workload, worker: tooBig })).toThrow(
      /SIMULATOR_MEMORY_EXCEEDED|no room for KV/,
    );
  });

  test("nonsense is refused by name", () => {
    const wrong = { layout: disaggregated, workload, worker, speedup: 0, blockTokens: 100, concurrency: 0.5 };
    expect(() => simulateLayout(wrong)).toThrow(SimulatorError);
    expect(() => simulateLayout(wrong)).toThrow(/blockTokens.*speedup.*concurrency/);
    expect(() => simulateLayout({ ...wrong, servedModel: "x" })).toThrow(/no model "x"/);
  });
});

describe("workers that come and go", () => {
  const arrivals = poissonArrivals({ rate: constantRate(8), durationMs: 60_000, seed: 2 });
  const workload = plain(arrivals, 1500, 100);

  test.each(["prefill-0", "decode-0"])("%s failing loses nothing", (name) => {
    const changes: WorkerChange[] = [{ atMs: 20_000, type: "fail", worker: name }];
    const run = simulateLayout({ layout: disaggregated, workload, worker, changes });
    expectEachEndsOnce(run, workload.length);
    expect(run.migrations).toBeGreaterThan(0);
    expect(run.workers.find((w) => w.worker === name)).toMatchObject({ end: "failed", endedMs: 20_000 });
  });

  test("a draining worker ends its work, takes no more, and leaves", () => {
    const changes: WorkerChange[] = [{ atMs: 20_000, type: "drain", worker: "workers-1" }];
    const run = simulateLayout({ layout: layoutOf({ workers: 2 }), workload, worker, changes });
    expectEachEndsOnce(run, workload.length);
    expect(run.migrations).toBe(0);
    expect(run.outcomes.filter((o) => o.atMs > 20_000 && o.worker === "workers-1")).toHaveLength(0);
    expect(run.workers[1]?.endedMs).toBeGreaterThan(20_000);
  });

  test("requests wait for a worker that starts; without one they stay unfinished", () => {
    const layout = layoutOf({ workers: 0 });
    const changes: WorkerChange[] = [{ atMs: 1000, type: "start", pool: "workers", count: 2 }];
    const run = simulateLayout({
      layout,
      workload: plain([0, 1, 2], 100, 5),
      worker,
      changes,
      startupMs: 30_000,
    });
    expectEachEndsOnce(run, 3);
    expect(run.ttftMs.p50).toBeGreaterThan(30_000);
    expect(simulateLayout({ layout, workload: plain([0, 1, 2], 100, 5), worker }).unfinished).toBe(3);
  });

  test("whatever happens, every request ends exactly once", () => {
    const names = ["prefill-0", "prefill-1", "decode-0", "decode-1"];
    const change = fc.record({
      atMs: fc.integer({ min: 0, max: 20_000 }),
      type: fc.constantFrom("fail" as const, "drain" as const),
      worker: fc.constantFrom(...names),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.integer({ min: 1, max: 9 }), (changes, seed) => {
        const work = conversationWorkload({ rate: constantRate(2), durationMs: 20_000, seed });
        const starts = ["prefill", "decode"].map((pool) => ({ atMs: 21_000, type: "start" as const, pool }));
        const run = simulateLayout({
          layout: disaggregated,
          workload: work,
          worker: { ...worker, kvTokens: 250_000, hostKvTokens: 100_000 },
          changes: [...changes, ...starts],
          startupMs: 1000,
          seed,
        });
        const rejected = work.filter((r) => r.inputTokens + r.outputTokens > 250_000).length;
        expect([run.completed, run.rejected]).toEqual([work.length - rejected, rejected]);
      }),
      { numRuns: 8 },
    );
  });
});

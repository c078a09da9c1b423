import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultLoadThresholds, planByLoad } from "./load-based.ts";
import type { Interval, Limits, Observations, Workers } from "./types.ts";

const limits: Limits = { graph: "disaggregated", gpus: 16 };
const interval = (queuedPrompts: number, kvUsage: number, workers: Workers): Interval => ({
  durationMs: 10_000,
  requests: 20,
  inputTokens: 500,
  outputTokens: 50,
  prefixHitRatio: 0,
  ttftMs: 90,
  itlMs: 12,
  workers,
  queuedPrefillTokens: queuedPrompts * 500,
  kvUsage,
});
const observed = (target: Workers, intervals: readonly Interval[], ready = target): Observations => ({
  intervals,
  target,
  ready,
  sinceChangeMs: { prefill: 1e9, decode: 1e9 },
});

describe("planByLoad", () => {
  test("a long queue adds a prefill worker, a full cache a decode worker, one at a time", () => {
    const target = { prefill: 2, decode: 3 };
    expect(planByLoad(observed(target, [interval(11, 0.7, target)]), limits)).toMatchObject({
      prefill: 3,
      decode: 3,
    });
    expect(planByLoad(observed(target, [interval(2, 0.95, target)]), limits)).toMatchObject({
      prefill: 2,
      decode: 4,
    });
    expect(planByLoad(observed(target, [interval(0, 0.3, target)]), limits)).toMatchObject({
      prefill: 1,
      decode: 2,
    });
    expect(planByLoad(observed(target, [interval(2, 0.7, target)]), limits)).toMatchObject({
      ...target,
      predictedTtftMs: 90,
      predictedItlMs: 12,
    });
  });

  test("a queue that clears by itself and workers that are starting ask for no more", () => {
    const target = { prefill: 2, decode: 2 };
    const falling = [interval(40, 0.7, target), interval(25, 0.7, target)];
    expect(planByLoad(observed(target, falling), limits).prefill).toBe(2);
    const starting = planByLoad(
      observed(target, [interval(40, 0.7, target)], { prefill: 1, decode: 2 }),
      limits,
    );
    expect(starting.prefill).toBe(2);
    expect(starting.reasons.map(({ code }) => code)).toContain("held:starting");
  });

  test("an aggregated graph shrinks only when both are calm, and has no prefill workers", () => {
    const target = { prefill: 0, decode: 3 };
    const aggregated: Limits = { graph: "aggregated", gpus: 4 };
    const at = (queued: number, kv: number) =>
      planByLoad(observed(target, [interval(queued, kv, target)]), aggregated);
    expect(at(100, 0.1)).toMatchObject({ prefill: 0, decode: 4 });
    expect(at(2, 0.1)).toMatchObject({ prefill: 0, decode: 3 });
    expect(at(0, 0.1)).toMatchObject({ prefill: 0, decode: 2 });
  });

  test("within budget, minimum and one step, whatever is seen; what shrank is not asked to grow again", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 500 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 8 }),
        (queued, kvUsage, prefill, decode) => {
          const target = { prefill, decode };
          const before = interval(queued, kvUsage, target);
          const result = planByLoad(observed(target, [before]), limits);
          expect(result.prefill + result.decode).toBeLessThanOrEqual(16);
          for (const role of ["prefill", "decode"] as const) {
            expect(result[role]).toBeGreaterThanOrEqual(1);
            expect(Math.abs(result[role] - target[role])).toBeLessThanOrEqual(1);
          }
          expect(result.headroom).not.toBeNaN();
          expect(result.reasons.length).toBeGreaterThan(0);
          if (result.decode < decode) {
            // The same load on fewer workers.
            const after = { ...before, kvUsage: (kvUsage * decode) / result.decode };
            const next = planByLoad(
              observed({ prefill: result.prefill, decode: result.decode }, [after]),
              limits,
            );
            expect(next.decode).toBeLessThanOrEqual(result.decode);
          }
        },
      ),
    );
    expect(defaultLoadThresholds).toMatchObject({ queueUp: 5, queueDown: 0.2, kvUp: 0.9, kvDown: 0.5 });
  });
});

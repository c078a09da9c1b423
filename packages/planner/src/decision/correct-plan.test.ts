import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Profile } from "../profile/profile.ts";
import { correctPlan } from "./correct-plan.ts";
import type { Workers } from "./types.ts";

const profile: Profile = {
  version: 1,
  prefill: { gpusPerWorker: 1, points: [1000, 4000].map((n) => ({ inputTokens: n, ttftMs: n / 20 })) },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 900_000,
    points: [0, 1].map((kvUsage) => ({ kvUsage, contextTokens: 3000, itlMs: 5 + kvUsage * 40 })),
  },
};
const workers = fc.record({
  prefill: fc.integer({ min: 1, max: 8 }),
  decode: fc.integer({ min: 1, max: 8 }),
});
const corrected = (before: Workers, floor: Workers, planned: Workers, later: number): Workers =>
  correctPlan({
    before,
    floor,
    planned,
    forecast: {
      requestsPerSecond: 10,
      requestsPerSecondUpper: 10,
      requestsPerSecondLater: later,
      inputTokens: 3000,
      outputTokens: 300,
      prefixHitRatio: 0,
    },
    observed: {
      durationMs: 15_000,
      requests: 150,
      inputTokens: 3000,
      outputTokens: 300,
      prefixHitRatio: 0,
      workers: before,
    },
    profile,
    slo: { ttftMs: 200, itlMs: 10 },
    limits: { graph: "disaggregated", gpus: 16 },
    startupMs: 30_000,
  });

test("between slow decisions a load that stays or rises only adds, and one that falls follows the plan down", () => {
  fc.assert(
    fc.property(
      workers,
      workers,
      workers,
      fc.double({ min: 0, max: 20, noNaN: true }),
      (before, floor, planned, later) => {
        const after = corrected(before, floor, planned, later);
        expect(after.prefill + after.decode).toBeLessThanOrEqual(16);
        for (const role of ["prefill", "decode"] as const) {
          expect(after[role]).toBeGreaterThanOrEqual(Math.min(before[role], planned[role]));
          if (later >= 9) expect(after[role]).toBeGreaterThanOrEqual(before[role]);
          else if (planned[role] < before[role]) expect(after[role]).toBe(planned[role]);
        }
      },
    ),
  );
});

test("a worker taken away on a falling load does not come back because an older decision wanted it", () => {
  expect(
    corrected({ prefill: 2, decode: 4 }, { prefill: 3, decode: 6 }, { prefill: 2, decode: 4 }, 10),
  ).toEqual({
    prefill: 2,
    decode: 4,
  });
});

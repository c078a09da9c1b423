import fc from "fast-check";
import { expect, test } from "vitest";
import type { Interval } from "../decision/types.ts";
import { constantForecaster } from "./forecasters/constant.ts";
import { forecastLoad } from "./forecast-load.ts";
import { holtWintersForecaster } from "./forecasters/holt-winters.ts";
import { kalmanForecaster } from "./forecasters/kalman.ts";

const forecasters = [constantForecaster(), holtWintersForecaster(), kalmanForecaster()];
const rateOf = (rates: readonly number[]): number =>
  forecastLoad(
    rates.map((rate): Interval => ({
      durationMs: 15_000,
      requests: Math.round(rate * 15),
      inputTokens: 3000,
      outputTokens: 300,
      prefixHitRatio: 0,
      workers: { prefill: 1, decode: 1 },
    })),
    { horizonSteps: 4, leadSteps: 3, forecasters },
  ).forecast.requestsPerSecond;

test("a jump is planned for at its own height from the first sample on, not at a trend's", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 10 }),
      fc.integer({ min: 3, max: 8 }),
      fc.integer({ min: 1, max: 4 }),
      (before, factor, samples) => {
        const calm = Array.from({ length: 20 }, (_, i) => before + ((i * 7) % 5) * 0.1);
        const after = new Array<number>(samples).fill(before * factor);
        expect(rateOf([...calm, ...after])).toBeCloseTo(before * factor, 0);
      },
    ),
    { numRuns: 50 },
  );
});

test("a steady climb is no jump: it is planned for ahead of its last value", () => {
  const climb = Array.from({ length: 20 }, (_, i) => 5 + i);
  expect(rateOf(climb)).toBeGreaterThan(25);
});

import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { arimaForecaster } from "./forecasters/arima.ts";
import { backtest, chooseForecaster } from "./backtest.ts";
import { constantForecaster } from "./forecasters/constant.ts";
import { normalQuantile } from "./forecasters/forecaster.ts";
import { harmonicForecaster } from "./forecasters/harmonic.ts";
import { holtWintersForecaster } from "./forecasters/holt-winters.ts";
import { kalmanForecaster } from "./forecasters/kalman.ts";
import { loadProphetForecaster } from "./forecasters/prophet.ts";

const all = [constantForecaster(), holtWintersForecaster(), kalmanForecaster(), harmonicForecaster()];
const sine = (n: number, period: number): number[] =>
  Array.from({ length: n }, (_, t) => 25 + 20 * Math.sin((2 * Math.PI * t) / period));
const ramp = (n: number): number[] => Array.from({ length: n }, (_, t) => 5 + 2 * t);

describe.each(all.map((forecaster) => [forecaster.name, forecaster] as const))("%s", (_, forecaster) => {
  test("is finite, never negative, and its interval holds its mean", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), {
          minLength: forecaster.minimumPoints,
          maxLength: 60,
        }),
        fc.integer({ min: 1, max: 8 }),
        (series, horizonSteps) => {
          const { mean, lower, upper } = forecaster.forecast(series, { horizonSteps });
          expect(mean).toHaveLength(horizonSteps);
          for (let h = 0; h < horizonSteps; h++) {
            expect(Number.isFinite(mean[h]!)).toBe(true);
            expect(lower[h]!).toBeGreaterThanOrEqual(0);
            expect(lower[h]!).toBeLessThanOrEqual(mean[h]!);
            expect(upper[h]!).toBeGreaterThanOrEqual(mean[h]!);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("a constant series goes on", () => {
    const { mean } = forecaster.forecast(new Array<number>(30).fill(7), { horizonSteps: 4 });
    for (const value of mean) expect(value).toBeCloseTo(7, 3);
  });
});

test("trend models follow a ramp, and harmonic a sine, where constant does not", () => {
  expect(backtest(kalmanForecaster(), ramp(40), { horizonSteps: 4 }).mase).toBeLessThan(0.2);
  expect(backtest(holtWintersForecaster(), ramp(40), { horizonSteps: 4 }).mase).toBeLessThan(0.6);
  expect(backtest(harmonicForecaster(), sine(80, 20), { horizonSteps: 4 }).mase).toBeLessThan(0.1);
});

test("the backtest picks what fits the series", () => {
  const { forecaster, scores } = chooseForecaster(all, constantForecaster(), sine(80, 20), {
    horizonSteps: 4,
  });
  expect(forecaster.name).toBe("harmonic");
  expect(scores[0]!.mase).toBeLessThan(scores[scores.length - 1]!.mase);
});

test("normal quantiles", () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.959964, 5);
  expect(normalQuantile(0.01)).toBeCloseTo(-2.326348, 5);
});

test("ARIMA follows a ramp and survives constants and noise", () => {
  expect(backtest(arimaForecaster(), ramp(40), { horizonSteps: 3, origins: 4 }).mase).toBeLessThan(0.01);
  expect(arimaForecaster().forecast(new Array<number>(12).fill(3), { horizonSteps: 2 }).mean).toEqual([3, 3]);
});

test("Prophet follows a trend with its intervals around it", async () => {
  const prophet = await loadProphetForecaster({ stepSeconds: 3600 });
  const { mean, lower, upper } = prophet.forecast(ramp(48), { horizonSteps: 4 });
  expect(mean[3]!).toBeGreaterThan(5 + 2 * 50 - 8);
  expect(mean[3]!).toBeLessThan(5 + 2 * 52 + 8);
  expect(lower[3]!).toBeLessThanOrEqual(mean[3]!);
  expect(upper[3]!).toBeGreaterThanOrEqual(mean[3]!);
});

test("ARIMA's search tells nothing to standard output", () => {
  const told: unknown[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => told.push(text) > 0);
  try {
    for (let seed = 1; seed <= 12; seed++)
      arimaForecaster().forecast(
        Array.from({ length: 40 }, (_, t) => t ** 2 + 30 * Math.sin(t * seed)),
        { horizonSteps: 2 },
      );
  } finally {
    write.mockRestore();
  }
  expect(told).toEqual([]);
});

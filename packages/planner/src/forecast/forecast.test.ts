import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { arimaForecaster } from "./forecasters/arima.ts";
import { backtest, calibratedForecaster, chooseForecaster } from "./backtest.ts";
import { deviationsToCover } from "./calibration.ts";
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

test("calibrated intervals hold what models that do not fit are too sure of", () => {
  // A wave through a climb: it fits what was seen, and its mean turns down where the climb goes on.
  const series = Array.from({ length: 160 }, (_, t) => 10 + t / 4 + 3 * Math.sin(t * t));
  const own = backtest(harmonicForecaster(), series, { horizonSteps: 2, origins: 60 });
  expect(own.coverage).toBeLessThan(0.5);
  expect(own.calibratedCoverage).toBeGreaterThan(own.coverage + 0.2);
  const plain = harmonicForecaster().forecast(series, { horizonSteps: 2 });
  const calibrated = calibratedForecaster(harmonicForecaster()).forecast(series, { horizonSteps: 2 });
  expect(calibrated.mean).toEqual(plain.mean);
  expect(calibrated.upper[1]! - calibrated.mean[1]!).toBeGreaterThan(plain.upper[1]! - plain.mean[1]!);
});

test("deviations to cover are a rank of the errors, and the normal ones while few are known", () => {
  const errors = Array.from({ length: 19 }, (_, i) => (i + 1) / 10);
  expect(deviationsToCover(errors, 0.8)).toBe(1.6);
  expect(deviationsToCover(errors, 0.99)).toBeCloseTo(normalQuantile(0.995), 6);
  expect(deviationsToCover(errors.slice(0, 5), 0.8)).toBeCloseTo(normalQuantile(0.9), 6);
});

test("normal quantiles", () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.959964, 5);
  expect(normalQuantile(0.01)).toBeCloseTo(-2.326348, 5);
});

test("ARIMA follows a ramp and survives constants and noise", () => {
  expect(backtest(arimaForecaster(), ramp(40), { horizonSteps: 3, origins: 4 }).mase).toBeLessThan(0.01);
  expect(arimaForecaster().forecast(new Array<number>(12).fill(3), { horizonSteps: 2 }).mean).toEqual([3, 3]);
});

test("Prophet follows a trend with its intervals around it, and goes on with series that have no noise", async () => {
  const prophet = await loadProphetForecaster({ stepSeconds: 3600 });
  expect(prophet.forecast(new Array<number>(40).fill(3000), { horizonSteps: 2 }).mean).toEqual([3000, 3000]);
  const jump = Array.from({ length: 40 }, (_, t) => (t < 39 ? 0 : 1e-9));
  expect(prophet.forecast(jump, { horizonSteps: 2 }).mean).toHaveLength(2);
  const waving = ramp(48).map((value, t) => value + 2 * Math.sin(1.7 * t));
  const { mean, lower, upper } = prophet.forecast(waving, { horizonSteps: 4 });
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

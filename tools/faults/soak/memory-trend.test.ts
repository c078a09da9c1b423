import { describe, expect, test } from "vitest";
import { seededRandom } from "../statistics.ts";
import { lowerEnvelope, trendOf, verdictOf, type SizeAt } from "./memory-trend.ts";

/** A size of about 120 every ten seconds: noise above a floor that moves by so many percent an hour. */
function series(minutes: number, pctPerHour: number, noise: number, seed: number): SizeAt[] {
  const random = seededRandom(seed);
  return Array.from({ length: minutes * 6 }, (_, i) => {
    const minute = i / 6;
    const floor = 120 * (1 + (pctPerHour * minute) / 6_000);
    return [minute, floor + noise * -Math.log(1 - random())];
  });
}

describe("the trend of a process's memory", () => {
  test.each([1, 2, 3, 4, 5])("holds where only noise is above a flat floor (seed %i)", (seed) => {
    const trend = trendOf(series(60, 0, 1.5, seed));
    expect(verdictOf(trend, 1, 60)).toEqual({ verdict: "held" });
  });

  test.each([1, 2, 3, 4, 5])("finds what grows by 3 % an hour under the same noise (seed %i)", (seed) => {
    const trend = trendOf(series(60, 3, 1.5, seed));
    expect(trend.interval[0]).toBeLessThan(3);
    expect(trend.interval[1]).toBeGreaterThan(3);
    expect(verdictOf(trend, 1, 60)).toEqual({ verdict: "grows" });
  });

  test("cannot tell after a few minutes, and says how many more it would take", () => {
    const { verdict, needsMoreMinutes } = verdictOf(trendOf(series(10, 0, 5, 1)), 1, 10);
    expect(verdict).toBe("cannot tell");
    expect(needsMoreMinutes).toBeGreaterThan(10);
  });

  test("says nothing of fewer than three windows, or of a size that is always 0", () => {
    expect(trendOf([[0, 1]])).toEqual({ pctPerHour: 0, interval: [-Infinity, Infinity] });
    expect(verdictOf(trendOf([]), 1, 1).verdict).toBe("cannot tell");
    expect(trendOf(Array.from({ length: 60 }, (_, i): SizeAt => [i, 0])).pctPerHour).toBe(0);
  });

  test("an outlier, however large, moves nothing: the envelope is of the lowest point of each window", () => {
    const flat = series(60, 0, 0, 1);
    const spiked = flat.map(([minute, size], i): SizeAt => [minute, i === 100 ? size * 50 : size]);
    expect(trendOf(spiked)).toEqual(trendOf(flat));
    const points = [
      [0, 5],
      [1, 3],
      [2, 9],
    ] as const;
    expect(
      lowerEnvelope(
        points,
        ([minute]) => minute,
        ([, size]) => size,
      ),
    ).toEqual([points[1], points[2]]);
  });
});

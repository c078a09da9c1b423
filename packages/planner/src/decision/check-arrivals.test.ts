import fc from "fast-check";
import { expect, test } from "vitest";
import { checkArrivals } from "./check-arrivals.ts";
import type { LoadForecast } from "./types.ts";

const planned = (rate: number): LoadForecast => ({
  requestsPerSecond: rate * 0.9,
  requestsPerSecondUpper: rate,
  inputTokens: 3000,
  outputTokens: 300,
  prefixHitRatio: 0.2,
});

test("a jump is known from a few seconds of arrivals, with the mix that was forecast", () => {
  expect(checkArrivals(125, 5000, planned(5))).toEqual({
    ...planned(25),
    requestsPerSecond: 25,
    requestsPerSecondLater: 25,
  });
});

test("what counting alone explains is no jump: nothing within three deviations of what is planned for", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.2, max: 500, noNaN: true }),
      fc.integer({ min: 1000, max: 15_000 }),
      (rate, ms) => {
        const expected = (rate * ms) / 1000;
        fc.pre(expected >= 1);
        expect(
          checkArrivals(Math.floor(expected + 3 * Math.sqrt(expected)), ms, planned(rate)),
        ).toBeUndefined();
        expect(checkArrivals(Math.ceil(expected + 4 * Math.sqrt(expected)), ms, planned(rate))).toBeDefined();
      },
    ),
  );
});

test("a single request where none was expected is none either, nor is anything in no time", () => {
  expect(checkArrivals(1, 5000, planned(0))).toBeUndefined();
  expect(checkArrivals(4, 5000, planned(0))).toBeUndefined();
  expect(checkArrivals(400, 0, planned(1))).toBeUndefined();
});

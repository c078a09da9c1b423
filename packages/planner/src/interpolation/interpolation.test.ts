import fc from "fast-check";
import { expect, test } from "vitest";
import { itlSurface } from "./itl-surface.ts";
import { monotoneCurve } from "./monotone-curve.ts";

const points = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 10_000 }), fc.double({ min: 0.1, max: 1e5, noNaN: true })),
  { minLength: 1, maxLength: 20 },
);

test("curves never fall, whatever noise they are given, and flag what was not measured", () => {
  fc.assert(
    fc.property(
      points,
      fc.double({ min: -100, max: 11_000, noNaN: true }),
      fc.double({ min: 0, max: 5_000, noNaN: true }),
      (given, x, step) => {
        const curve = monotoneCurve(given);
        expect(curve.at(x + step).value).toBeGreaterThanOrEqual(
          curve.at(x).value - 1e-6 * Math.abs(curve.at(x).value),
        );
        expect(curve.at(x).isClamped).toBe(x < curve.from || x > curve.to);
      },
    ),
  );
});

test("clean points are met exactly, and largestWithin inverts", () => {
  const curve = monotoneCurve([
    [0, 10],
    [100, 20],
    [400, 80],
  ]);
  expect(curve.at(100).value).toBeCloseTo(20, 9);
  expect(curve.at(curve.largestWithin(50)!).value).toBeCloseTo(50, 6);
  expect(curve.largestWithin(5)).toBeUndefined();
});

test("the surface interpolates between contexts and inverts over KV usage", () => {
  const surface = itlSurface(
    [1000, 3000].flatMap((contextTokens) =>
      [0, 0.5, 1].map((kvUsage) => ({
        kvUsage,
        contextTokens,
        itlMs: 5 + 10 * kvUsage + contextTokens / 1000,
      })),
    ),
  );
  expect(surface.at(0.5, 2000)).toEqual({ value: 12, isClamped: false });
  expect(surface.at(0.5, 9000).isClamped).toBe(true);
  expect(surface.largestKvUsage(12, 2000)).toBeCloseTo(0.5, 6);
  expect(surface.largestKvUsage(1, 2000)).toBeUndefined();
});

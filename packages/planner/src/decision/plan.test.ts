import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Profile } from "../profile/profile.ts";
import { plan } from "./plan.ts";
import { react } from "./react.ts";
import { erlangC, waitQuantileMs } from "./queueing.ts";
import type { Interval, Limits, LoadForecast, Observations, Workers } from "./types.ts";

/** About Llama-3.1-8B on one H200. */
const profile: Profile = {
  version: 1,
  prefill: {
    gpusPerWorker: 1,
    points: [100, 1000, 3000, 8000, 16000].map((n) => ({ inputTokens: n, ttftMs: 8 + n * 0.022 })),
  },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 800_000,
    points: [1000, 4000, 16000].flatMap((contextTokens) =>
      [0, 0.25, 0.5, 0.75, 1].map((kvUsage) => ({
        kvUsage,
        contextTokens,
        itlMs: 5 + kvUsage * 20 + 2000 / contextTokens,
      })),
    ),
  },
};
const slo = { ttftMs: 200, itlMs: 10 };
const limits: Limits = { graph: "disaggregated", gpus: 32 };
const nobody: Workers = { prefill: 1, decode: 1 };
const longAgo: Workers = { prefill: 1e9, decode: 1e9 };
const observed = (target: Workers = nobody, intervals: readonly Interval[] = []): Observations => ({
  intervals,
  target,
  ready: target,
  sinceChangeMs: longAgo,
});
const load = (requestsPerSecond: number, inputTokens = 3000, outputTokens = 300): LoadForecast => ({
  requestsPerSecond,
  requestsPerSecondUpper: requestsPerSecond,
  inputTokens,
  outputTokens,
  prefixHitRatio: 0,
});
const arbitraryLoad = fc.record({
  requestsPerSecond: fc.double({ min: 0, max: 200, noNaN: true }),
  inputTokens: fc.integer({ min: 1, max: 20_000 }),
  outputTokens: fc.integer({ min: 1, max: 4_000 }),
});

describe("plan", () => {
  test("more load never takes fewer workers, in both graphs", () => {
    fc.assert(
      fc.property(
        arbitraryLoad,
        fc.double({ min: 1, max: 3, noNaN: true }),
        fc.constantFrom("disaggregated" as const, "aggregated" as const),
        (l, factor, graph) => {
          const big = { ...limits, graph, gpus: 10_000 };
          const less = plan(
            observed(),
            load(l.requestsPerSecond, l.inputTokens, l.outputTokens),
            profile,
            slo,
            big,
          );
          const more = plan(
            observed(),
            load(l.requestsPerSecond * factor, l.inputTokens, l.outputTokens),
            profile,
            slo,
            big,
          );
          expect(more.prefill).toBeGreaterThanOrEqual(less.prefill);
          expect(more.decode).toBeGreaterThanOrEqual(less.decode);
        },
      ),
    );
  });

  test("never above the GPU budget, never NaN, whatever the sizes", () => {
    fc.assert(
      fc.property(
        arbitraryLoad,
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom(1, 2, 4, 8),
        fc.constantFrom(1, 2, 4, 8),
        (l, gpus, p, d) => {
          const sized = {
            ...profile,
            prefill: { ...profile.prefill, gpusPerWorker: p },
            decode: { ...profile.decode, gpusPerWorker: d },
          };
          const result = plan(
            observed(),
            load(l.requestsPerSecond, l.inputTokens, l.outputTokens),
            sized,
            slo,
            { ...limits, gpus },
          );
          expect(result.prefill * p + result.decode * d).toBeLessThanOrEqual(gpus);
          for (const value of [
            result.prefill,
            result.decode,
            result.predictedTtftMs,
            result.predictedItlMs,
            result.headroom,
          ])
            expect(value).not.toBeNaN();
        },
      ),
    );
  });

  test("zero traffic leads to the minimum", () => {
    const result = plan(observed({ prefill: 6, decode: 9 }), load(0), profile, slo, limits);
    expect(result).toMatchObject({ prefill: 1, decode: 1 });
    expect(result.reasons).toContainEqual({ role: "decode", code: "idle", message: "no load is expected" });
  });

  test("constant load never oscillates", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 60, noNaN: true }), (rate) => {
        let target = nobody;
        const seen: string[] = [];
        for (let i = 0; i < 12; i++) {
          target = plan(observed(target), load(rate), profile, slo, { ...limits, gpus: 200 });
          seen.push(`${target.prefill}/${target.decode}`);
        }
        expect(new Set(seen.slice(1)).size).toBe(1);
      }),
    );
  });

  test("TTFT misses ask for more prefill workers", () => {
    const target = { prefill: 4, decode: 10 };
    const interval: Interval = {
      durationMs: 60_000,
      requests: 1800,
      inputTokens: 3000,
      outputTokens: 300,
      prefixHitRatio: 0,
      ttftMs: 300,
      itlMs: 8,
      workers: target,
    };
    const calm = plan(observed(target, [{ ...interval, ttftMs: 110 }]), load(30), profile, slo, limits);
    const missed = plan(observed(target, [interval, interval, interval]), load(30), profile, slo, limits);
    expect(missed.prefill).toBeGreaterThan(calm.prefill);
  });

  test("a cache that hits lowers the prefill need", () => {
    const cold = plan(observed(), load(40), profile, slo, limits);
    const warm = plan(observed(), { ...load(40), prefixHitRatio: 0.8 }, profile, slo, limits);
    expect(warm.prefill).toBeLessThan(cold.prefill);
  });

  test("scales down only after the cool-down, when nothing starts, and says why it waits", () => {
    const target = { prefill: 6, decode: 12 };
    const soon = plan(
      { ...observed(target), sinceChangeMs: { prefill: 1000, decode: 1000 } },
      load(5),
      profile,
      slo,
      limits,
    );
    expect(soon).toMatchObject(target);
    expect(soon.reasons.map((r) => r.code)).toContain("held:coolDown");
    const starting = plan(
      { ...observed(target), ready: { prefill: 3, decode: 12 } },
      load(5),
      profile,
      slo,
      limits,
    );
    expect(starting.prefill).toBe(6);
    const later = plan(observed(target), load(5), profile, slo, limits);
    expect(later.prefill).toBeLessThan(6);
    expect(later.decode).toBeLessThan(12);
  });

  test("a load that stays keeps a worker for its margin; one that falls by more than that gives it up", () => {
    const target = { prefill: 6, decode: 12 };
    const need = (rate: number): Workers => plan(observed(), load(rate), profile, slo, limits);
    let rate = 1;
    // The most that one decode worker less than the target would serve.
    while (need(rate * 1.001).decode < target.decode) rate *= 1.001;
    const stays = plan(observed(target), load(rate), profile, slo, limits);
    expect(stays.decode).toBe(target.decode);
    expect(stays.reasons.map((r) => r.code)).toContain("held:hysteresis");
    const falls = { ...load(rate), requestsPerSecondLater: rate * 0.9 };
    expect(plan(observed(target), falls, profile, slo, limits).decode).toBe(target.decode - 1);
    const rises = { ...load(rate), requestsPerSecondLater: rate * 1.2 };
    expect(plan(observed(target), rises, profile, slo, limits).decode).toBe(target.decode);
  });

  test("units: a profile whose times double needs about double the prefill workers", () => {
    const slow = {
      ...profile,
      prefill: {
        ...profile.prefill,
        points: profile.prefill.points.map((p) => ({ ...p, ttftMs: p.ttftMs * 2 })),
      },
    };
    const fast = plan(observed(), load(100), profile, { ttftMs: 2000, itlMs: 50 }, { ...limits, gpus: 500 });
    const half = plan(observed(), load(100), slow, { ttftMs: 2000, itlMs: 50 }, { ...limits, gpus: 500 });
    expect(half.prefill / fast.prefill).toBeGreaterThan(1.7);
    expect(half.prefill / fast.prefill).toBeLessThan(2.3);
  });

  test("an SLO that nothing can keep is said, not hidden", () => {
    const result = plan(observed(), load(1, 16_000), profile, { ttftMs: 50, itlMs: 1 }, limits);
    expect(result.reasons.map((r) => r.code)).toContain("unattainable");
  });
});

describe("react", () => {
  test("raises what is under pressure, never lowers, never above the budget", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 400_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 8 }),
        (queued, kvUsage, p, d) => {
          const floor = { prefill: p, decode: d };
          const now: Interval = {
            durationMs: 5000,
            requests: 10,
            inputTokens: 3000,
            outputTokens: 300,
            prefixHitRatio: 0,
            workers: floor,
            queuedPrefillTokens: queued,
            kvUsage,
          };
          const raised = react(now, floor, profile, slo, { ...limits, gpus: 16 });
          expect(raised.prefill).toBeGreaterThanOrEqual(p);
          expect(raised.decode).toBeGreaterThanOrEqual(d);
          expect(raised.prefill + raised.decode).toBeLessThanOrEqual(16);
        },
      ),
    );
  });
});

describe("queueing", () => {
  test("Erlang C agrees with published values", () => {
    expect(erlangC(1, 0.5)).toBeCloseTo(0.5, 9);
    expect(erlangC(2, 1)).toBeCloseTo(1 / 3, 9);
    expect(erlangC(10, 8)).toBeCloseTo(0.409, 3);
  });

  test("waiting falls with servers and rises with load", () => {
    expect(waitQuantileMs(1, 5, 100, 1, 0.9)).toBeCloseTo(Math.log(5) * 200, 6);
    expect(waitQuantileMs(2, 15, 100, 1, 0.9)).toBeGreaterThan(waitQuantileMs(3, 15, 100, 1, 0.9));
    expect(waitQuantileMs(1, 11, 100, 1, 0.9)).toBe(Number.POSITIVE_INFINITY);
  });
});

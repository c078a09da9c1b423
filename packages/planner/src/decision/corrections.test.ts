import { expect, test } from "vitest";
import type { Profile } from "../profile/profile.ts";
import { learnCorrections } from "./corrections.ts";
import type { Interval } from "./types.ts";

const profile: Profile = {
  version: 1,
  prefill: {
    gpusPerWorker: 1,
    points: [100, 3000, 8000].map((n) => ({ inputTokens: n, ttftMs: 8 + n * 0.016 })),
  },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 900_000,
    points: [1000, 4000].flatMap((contextTokens) =>
      [0, 0.5, 1].map((kvUsage) => ({ kvUsage, contextTokens, itlMs: 5 + kvUsage * 40 })),
    ),
  },
};
const slo = { ttftMs: 200, itlMs: 10 };
const limits = { graph: "disaggregated", gpus: 16 } as const;
const interval = (ttftMs: number, itlMs: number): Interval => ({
  durationMs: 30_000,
  requests: 60,
  inputTokens: 3000,
  outputTokens: 300,
  prefixHitRatio: 0,
  ttftMs,
  itlMs,
  workers: { prefill: 4, decode: 4 },
});
const idle: Interval = { ...interval(0, 0), requests: 0, inputTokens: 0, outputTokens: 0 };

test("a month of history teaches what its newest intervals with traffic teach, and a night without traffic unlearns nothing", () => {
  const recent = Array.from({ length: 120 }, (_, i) => interval(70 + (i % 7), 5.5 + (i % 3) / 10));
  const learned = learnCorrections(recent, profile, slo, limits);
  expect(learned.ttft).not.toBe(1);
  const long = [...Array.from({ length: 2000 }, () => interval(140, 9)), ...recent];
  expect(learnCorrections(long, profile, slo, limits)).toEqual(learned);
  const night = [...long, ...Array.from({ length: 960 }, () => idle)];
  expect(learnCorrections(night, profile, slo, limits)).toEqual(learned);
});

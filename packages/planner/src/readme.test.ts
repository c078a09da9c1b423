import { expect, test } from "vitest";
import { plan, type LoadForecast, type Observations } from "./decision/index.ts";
import type { Profile } from "./profile/profile.ts";

test("the README's snippet plans within the budget and says why", () => {
  const profile: Profile = {
    version: 1,
    prefill: {
      gpusPerWorker: 1,
      points: [100, 8000].map((n) => ({ inputTokens: n, ttftMs: 8 + n * 0.016 })),
    },
    decode: {
      gpusPerWorker: 1,
      maxKvTokens: 900_000,
      points: [0, 1].map((kvUsage) => ({ kvUsage, contextTokens: 3000, itlMs: 5 + kvUsage * 40 })),
    },
  };
  const workers = { prefill: 1, decode: 1 };
  const observations: Observations = {
    intervals: [],
    target: workers,
    ready: workers,
    sinceChangeMs: { prefill: 1e9, decode: 1e9 },
  };
  const forecast: LoadForecast = {
    requestsPerSecond: 30,
    requestsPerSecondUpper: 34,
    inputTokens: 3000,
    outputTokens: 300,
    prefixHitRatio: 0,
  };

  const decision = plan(
    observations,
    forecast,
    profile,
    { ttftMs: 200, itlMs: 10 },
    { graph: "disaggregated", gpus: 16 },
  );
  expect(decision.prefill + decision.decode).toBeLessThanOrEqual(16);
  expect(decision.predictedTtftMs).toBeLessThanOrEqual(200);
  expect(decision.headroom).toBeGreaterThanOrEqual(1);
  for (const { role, code, message } of decision.reasons)
    expect([role, code, message].join(" ")).not.toBe("");
});

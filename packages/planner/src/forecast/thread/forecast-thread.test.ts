import { expect, test } from "vitest";
import type { Interval } from "../../decision/types.ts";
import { createForecastThread } from "./forecast-thread.ts";

const intervals = (count: number): Interval[] =>
  Array.from({ length: count }, (_, t) => ({
    durationMs: 30_000,
    requests: Math.round(750 + 600 * Math.sin((2 * Math.PI * t) / 20)),
    inputTokens: 3000,
    outputTokens: 300,
    prefixHitRatio: 0,
    workers: { prefill: 3, decode: 5 },
  }));

test("a forecast from the thread follows the rhythm, and one past its deadline fails by name", async () => {
  await using thread = createForecastThread({
    horizonSteps: 2,
    forecasters: ["constant", "kalman", "harmonic"],
  });
  const { forecast, chosen } = await thread.forecast(intervals(60));
  expect(chosen["requests"]).toBe("harmonic");
  const next = Math.max(...[60, 61].map((t) => 25 + 20 * Math.sin((2 * Math.PI * t) / 20)));
  expect(Math.abs(forecast.requestsPerSecond - next)).toBeLessThan(2);
  for (const count of [61, 62, 63])
    expect((await thread.forecast(intervals(count))).chosen["requests"]).toBe("harmonic");

  await using hurried = createForecastThread({ horizonSteps: 2, deadlineMs: 1 });
  await expect(hurried.forecast(intervals(60))).rejects.toMatchObject({ code: "PLANNER_FORECAST_FAILED" });
}, 60_000);

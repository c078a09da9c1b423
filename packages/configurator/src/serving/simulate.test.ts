import { expect, test } from "vitest";
import { search } from "../search/search.ts";
import { resolveTarget } from "../target.ts";
import { simulateCandidate } from "./simulate.ts";

const base = {
  model: "Qwen/Qwen3-32B",
  system: "h200",
  backend: "vllm",
  gpus: 8,
  inputTokens: 2000,
  outputTokens: 200,
} as const;
const target = resolveTarget(base);

test.each([["agg"], ["disagg"]] as const)(
  "stepping through the best %s layout agrees with the closed form on speed and throughput",
  (mode) => {
    const found = search({ ...base, modes: [mode], tpotMs: 20 }).layouts[0];
    if (!found) throw new Error("nothing found");
    const simulated = simulateCandidate(found, target, base);
    expect(simulated.requests).toBeGreaterThan(50);
    expect(Math.abs(simulated.tpotMs.mean / found.tpotMs - 1)).toBeLessThan(0.25);
    expect(Math.abs(simulated.requestsPerSecond / found.requestsPerSecond - 1)).toBeLessThan(0.3);
    expect(simulated.ttftMs.p99).toBeGreaterThanOrEqual(simulated.ttftMs.p50);
  },
);

test("the same seed gives the same result, another seed another", () => {
  const found = search({ ...base, modes: ["agg"] }).layouts[0];
  if (!found) throw new Error("nothing found");
  const once = simulateCandidate(found, target, base, { seed: 7 });
  expect(simulateCandidate(found, target, base, { seed: 7 })).toEqual(once);
  expect(simulateCandidate(found, target, base, { seed: 8 })).not.toEqual(once);
});

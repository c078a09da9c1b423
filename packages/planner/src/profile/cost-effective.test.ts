import { expect, test } from "vitest";
import { costEffectiveWorkers, type WorkerCandidate } from "./cost-effective.ts";

/** Twice the GPUs: not quite half the time, a little more than twice the cache. */
const candidate = (gpus: number): WorkerCandidate => ({
  name: `tensor ${gpus}`,
  profile: {
    version: 1,
    prefill: {
      gpusPerWorker: gpus,
      points: [100, 4000].map((inputTokens) => ({
        inputTokens,
        ttftMs: 10 + (inputTokens * 0.1) / gpus ** 0.9,
      })),
    },
    decode: {
      gpusPerWorker: gpus,
      maxKvTokens: 100_000 * gpus * 1.1,
      points: [1000, 4000].flatMap((contextTokens) =>
        [0, 0.5, 1].map((kvUsage) => ({ kvUsage, contextTokens, itlMs: 4 + 16 / gpus + kvUsage * 20 })),
      ),
    },
  },
});
const candidates = [1, 2, 4].map(candidate);
const load = { inputTokens: 2000, outputTokens: 200 };

test("a loose objective takes the fewest GPUs for prefill, a tight one as many as keep it", () => {
  const loose = costEffectiveWorkers(candidates, { ttftMs: 1000, itlMs: 100 }, load);
  expect(loose.prefill.map(({ name }) => name)).toEqual(["tensor 1", "tensor 2", "tensor 4"]);
  expect(loose.prefill[0]!.tokensPerSecondPerGpu).toBeCloseTo((2000 / 210) * 1000, 6);
  const tight = costEffectiveWorkers(candidates, { ttftMs: 150, itlMs: 15 }, load);
  expect(tight.prefill[0]).toMatchObject({ name: "tensor 2" });
  expect(tight.decode[0]).toMatchObject({ name: "tensor 4" });
  expect(tight.decode[0]!.latencyMs).toBeLessThanOrEqual(15);
  expect(tight.prefill.at(-1)).toMatchObject({ name: "tensor 1", tokensPerSecondPerGpu: 0 });
});

test("when nothing keeps it the fastest comes first, with no throughput within it", () => {
  const none = costEffectiveWorkers(candidates, { ttftMs: 1, itlMs: 1 }, load);
  expect(none.prefill[0]).toMatchObject({ name: "tensor 4", tokensPerSecondPerGpu: 0 });
  expect(none.decode[0]).toMatchObject({ name: "tensor 4", tokensPerSecondPerGpu: 0, concurrency: 0 });
});

import type { Limits, Profile, Slo } from "@stator/planner";

const promptTokensPerSecond = 2000;
const stepMs = 5;

/** Simulated engines with the speed of a small machine, so that one laptop shows what a cluster does. */
export const layout = {
  models: {
    sim: {
      pools: {
        workers: {
          role: "both",
          replicas: 1,
          engine: {
            kind: "simulated",
            stepMs,
            prefillTokensPerSecond: promptTokensPerSecond,
            contextTokens: 4096,
          },
        },
      },
    },
  },
  frontend: { host: "127.0.0.1", port: 0 },
};

/** What one such engine can do: here from its settings; `stator profile` measures real ones. */
export const profile: Profile = {
  version: 1,
  source: "settings of the simulated engine",
  prefill: {
    gpusPerWorker: 1,
    points: [50, 200, 800, 3200].map((inputTokens) => ({
      inputTokens,
      ttftMs: stepMs + (inputTokens / promptTokensPerSecond) * 1000,
    })),
  },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 200_000,
    points: [100, 4000].flatMap((contextTokens) =>
      [0, 0.5, 1].map((kvUsage) => ({ kvUsage, contextTokens, itlMs: stepMs * (1 + kvUsage) })),
    ),
  },
};

export const slo: Slo = { ttftMs: 800, itlMs: 60, percentile: 90 };

export const limits: Limits = { graph: "aggregated", gpus: 5, coolDownMs: 4000 };

import { defineConfig } from "vitest/config";

// One runner for all packages; tests read the sources through the "@stator/source" condition, not dist.
export default defineConfig({
  resolve: { conditions: ["@stator/source"] },
  ssr: { resolve: { conditions: ["@stator/source"], externalConditions: ["@stator/source"] } },
  test: {
    include: ["packages/*/{src,test}/**/*.test.ts", "examples/**/*.test.ts", "tools/**/*.test.ts"],
    server: { deps: { inline: [/@stator\//, /^stator$/] } },
    // Limits only guard against hangs; nothing asserts how long it took.
    expect: { poll: { timeout: 30_000, interval: 20 } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});

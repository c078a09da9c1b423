import { describe, expect, test } from "vitest";
import { breaches, runFaults } from "./run-faults.ts";

describe("the fault matrix on real processes, six rows of it", () => {
  for (const row of [1, 2, 14, 16, 23, 24]) {
    test(`row ${row} loses, repeats and changes nothing`, { timeout: 180_000 }, async () => {
      const [line] = await runFaults({ rows: [row], profile: "test" });
      expect(line).toBeDefined();
      expect(breaches(line!), JSON.stringify(line)).toEqual([]);
    });
  }
});

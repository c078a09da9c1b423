import { expect, it } from "vitest";
import { cells } from "./cells.ts";
import { runOracle } from "./run-oracle.ts";

it("has 2,560 cells", () => {
  expect(cells()).toHaveLength(2_560);
});

it(
  "a 5 % sample of the oracle is identical, and every planted defect is caught",
  { timeout: 300_000 },
  async () => {
    const result = await runOracle({ every: 19, offset: 7 });
    expect(result).toMatchObject({ cells: 135, identical: 135, mismatches: [], unconfirmed: 0, missed: [] });
    expect(result.caught).toBe(result.planted);
  },
);

import { describe, expect, it } from "vitest";
import { checkHistory, checkWatch } from "./check-history.ts";
import type { HistoryEntry } from "./history.ts";

const at = { request: "r", choice: 0, atMs: 0 } as const;
const admitted: HistoryEntry = { ...at, type: "admitted", from: 0, maxTokens: 4 };
const tokens = (firstIndex: number, count: number): HistoryEntry => ({
  ...at,
  type: "tokens",
  firstIndex,
  ids: Array.from({ length: count }, () => 1),
});
const finished: HistoryEntry = { ...at, type: "finished", finish: { reason: "length" } };
const rules = (entries: HistoryEntry[]): string[] => checkHistory(entries).map(({ rule }) => rule);

describe("a history", () => {
  it("that is right has no violations, whatever its end", () => {
    expect(rules([admitted, tokens(0, 2), tokens(2, 2), finished])).toEqual([]);
    expect(
      rules([admitted, tokens(0, 2), { ...at, type: "failed", code: "X", kind: "unavailable" }]),
    ).toEqual([]);
    expect(rules([admitted, { ...at, type: "cancelled" }])).toEqual([]);
    expect(rules([admitted, finished, { ...admitted, choice: 1 }, { ...finished, choice: 1 }])).toEqual([]);
  });
  it.each([
    ["no end", [admitted, tokens(0, 2)], ["oneTerminal"]],
    ["two ends", [admitted, finished, finished], ["nothingAfterTerminal", "oneTerminal"]],
    ["a duplicate", [admitted, tokens(0, 2), tokens(1, 1), finished], ["indexesOnce"]],
    ["a gap", [admitted, tokens(0, 1), tokens(2, 1), finished], ["indexesOnce"]],
    ["too many tokens", [admitted, tokens(0, 5), finished], ["withinBudget"]],
    ["a token after the end", [admitted, finished, tokens(0, 1)], ["nothingAfterTerminal"]],
    ["tokens out of nowhere", [tokens(0, 1), finished], ["admittedFirst", "indexesOnce", "withinBudget"]],
  ])("with %s is reported", (_name, entries, expected) => {
    expect(rules(entries)).toEqual(expected);
  });
});

describe("a watch", () => {
  it("that is ordered, unique and complete has no violations", () => {
    expect(
      checkWatch(
        [
          { type: "put", id: "a", epoch: "1" },
          { type: "put", id: "a", epoch: "2" },
          { type: "put", id: "b", epoch: "1" },
          { type: "delete", id: "b", epoch: "1" },
        ],
        new Map([["a", "2"]]),
      ),
    ).toEqual([]);
  });
  it("that repeats, invents or forgets is reported", () => {
    expect(
      checkWatch(
        [
          { type: "put", id: "a", epoch: "1" },
          { type: "put", id: "a", epoch: "1" },
        ],
        new Map([["a", "1"]]),
      ),
    ).toHaveLength(1);
    expect(checkWatch([{ type: "delete", id: "a", epoch: "1" }], new Map())).toHaveLength(1);
    expect(checkWatch([{ type: "put", id: "a", epoch: "1" }], new Map([["b", "1"]]))).toHaveLength(2);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { burstRate, constantRate, poissonArrivals, rampRate, sineRate, stepRate } from "./arrivals.ts";
import { traceBlockNames } from "./block-names-of-trace.ts";
import { conversationWorkload } from "./conversations.ts";
import { formatMooncakeTrace, parseMooncakeTrace } from "./mooncake-trace.ts";
import { prefixTreeWorkload } from "./prefix-tree.ts";
import { seededRandom } from "./random.ts";
import { sharedPrefixWorkload } from "./shared-prefix.ts";
import type { TraceRequest } from "./trace-request.ts";
import { workloadStatistics } from "./workload-statistics.ts";

const conversations = conversationWorkload({ rate: constantRate(2), durationMs: 120_000 });

/** Ids form a tree: every id always follows the same one. */
function expectTree(requests: readonly TraceRequest[]): void {
  const parents = new Map<number, number>();
  for (const { blockIds } of requests) {
    blockIds.forEach((id, i) => {
      const parent = i === 0 ? -1 : blockIds[i - 1]!;
      if (!parents.has(id)) parents.set(id, parent);
      if (parents.get(id) !== parent) expect(parents.get(id), `parent of block ${id}`).toBe(parent);
    });
  }
}

describe("workloads", () => {
  test("read and write Mooncake's format without loss", () => {
    const rounded = conversations.map((request) => ({
      atMs: Math.round(request.atMs),
      inputTokens: request.inputTokens,
      outputTokens: request.outputTokens,
      blockIds: request.blockIds,
    }));
    expect(parseMooncakeTrace(formatMooncakeTrace(conversations))).toEqual(rounded);
  });

  test("name the line that is no trace record", () => {
    const line = '{"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": [0]}';
    expect(() => parseMooncakeTrace(`${line}\n{"timestamp": 1}\n`)).toThrow(
      "Line 2 of the trace is no request in Mooncake's format",
    );
  });

  test("are the same for the same seed", () => {
    const options = { rate: constantRate(2), durationMs: 60_000, seed: 5 };
    expect(conversationWorkload(options)).toEqual(conversationWorkload(options));
  });

  test("form prefix trees and arrive in order", () => {
    const arrivalsMs = poissonArrivals({ rate: constantRate(5), durationMs: 60_000 });
    const shared = sharedPrefixWorkload({
      groups: 7,
      promptsPerGroup: 3,
      systemTokens: 6144,
      questionTokens: 1200,
      outputTokens: 100,
      arrivalsMs,
      random: seededRandom(3),
    });
    for (const workload of [
      conversations,
      shared,
      prefixTreeWorkload(conversations, { requests: 300, roots: 2 }),
    ]) {
      expectTree(workload);
      for (let i = 1; i < workload.length; i++)
        expect(workload[i]!.atMs).toBeGreaterThanOrEqual(workload[i - 1]!.atMs);
      for (const request of workload)
        expect(request.blockIds).toHaveLength(Math.ceil(request.inputTokens / 512));
    }
    expect(workloadStatistics(shared).ceilingHitRatio).toBeGreaterThan(0.75);
  });

  test("synthesised from a tree keep the trace's lengths and sharing", () => {
    const made = workloadStatistics(
      prefixTreeWorkload(conversations, { requests: 4 * conversations.length }),
    );
    const given = workloadStatistics(conversations);
    expect(made.meanInputTokens / given.meanInputTokens).toBeGreaterThan(0.8);
    expect(made.meanInputTokens / given.meanInputTokens).toBeLessThan(1.25);
    expect(made.ceilingHitRatio).toBeGreaterThan(given.ceilingHitRatio * 0.8);
  });

  test("arrive at the rates asked for", () => {
    const durationMs = 400_000;
    const rates = [
      [constantRate(10), 10],
      [sineRate({ midPerSecond: 10, amplitudePerSecond: 8, periodMs: 100_000 }), 10],
      [stepRate({ beforePerSecond: 5, afterPerSecond: 15, atMs: 200_000 }), 10],
      [rampRate({ fromPerSecond: 0, toPerSecond: 20, durationMs }), 10],
      [burstRate({ basePerSecond: 5, burstPerSecond: 25, everyMs: 40_000, durationMs: 10_000 }), 10],
    ] as const;
    for (const [rate, perSecond] of rates) {
      const count = poissonArrivals({ rate, durationMs }).length;
      expect(Math.abs(count / (perSecond * 400) - 1)).toBeLessThan(0.08);
    }
    expect(sineRate({ midPerSecond: 10, amplitudePerSecond: 8, periodMs: 1000 })(0)).toBeCloseTo(2);
  });

  test("have names that are equal exactly where prefixes are, at any block size", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(16, 64, 128, 512),
        fc.nat(conversations.length - 1),
        fc.nat(conversations.length - 1),
        (size, a, b) => {
          const [first, second] = [conversations[a]!, conversations[b]!];
          const [left, right] = [traceBlockNames(first, size), traceBlockNames(second, size)];
          let shared = 0;
          while (
            shared < Math.min(first.blockIds.length, second.blockIds.length) &&
            first.blockIds[shared] === second.blockIds[shared]
          )
            shared++;
          const common = left.findIndex((name, i) => name !== right[i]);
          const expected = Math.min((shared * 512) / size, left.length, right.length);
          expect(common === -1 ? Math.min(left.length, right.length) : common).toBe(expected);
        },
      ),
    );
  });
});

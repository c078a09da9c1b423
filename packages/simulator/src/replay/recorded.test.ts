import { hashSchemeXxh3 } from "@stator/core";
import { createSelector, encodeDecision, kvAware, parseDecisions, roundRobin } from "@stator/router/selector";
import { expect, test } from "vitest";
import { constantRate } from "../workload/arrivals.ts";
import { traceBlockNames } from "../workload/block-names-of-trace.ts";
import { conversationWorkload } from "../workload/conversations.ts";
import { blockTokensOfDecisions, compareReplays, workloadOfDecisions } from "./recorded.ts";
import { replay } from "./replay.ts";

test("decisions recorded in production replay with other policies and worker counts, and compare", () => {
  const workload = conversationWorkload({ rate: constantRate(1), durationMs: 60_000 });
  const selector = createSelector();
  for (const id of ["a", "b"]) {
    selector.addWorker(
      {
        id,
        epoch: "1",
        role: "both",
        model: "m",
        capacity: { requests: 9, kvBlocks: 999, queue: 9 },
        ranks: 1,
        labels: {},
      },
      { blockTokens: 512, hashScheme: hashSchemeXxh3, adapters: [] },
    );
  }
  const lines = workload.map((request) => {
    const decision = selector.select(
      { names: traceBlockNames(request), promptTokens: request.inputTokens },
      { explain: true },
    );
    return encodeDecision(decision, request.atMs + 1_000_000, request.outputTokens);
  });
  const recorded = parseDecisions(lines.join("\n"));
  expect(recorded[0]).toMatchObject({ policy: "kvAware", promptTokens: workload[0]!.inputTokens });
  expect(recorded[0]!.candidates).toHaveLength(2);

  const again = workloadOfDecisions(recorded);
  const cluster = { workers: 4, prefillTokensPerSecond: 8000, interTokenMs: 20, kvBlocks: 10_000 };
  const aware = replay(again, { ...cluster, selector: { policy: kvAware() } });
  const direct = replay(
    workload.map(({ session: _session, ...request }) => request),
    { ...cluster, selector: { policy: kvAware() } },
  );
  expect(aware.meanTtftMs).toBeCloseTo(direct.meanTtftMs, 6);
  const difference = compareReplays(aware, replay(again, { ...cluster, selector: { policy: roundRobin() } }));
  expect(difference.hitRatio).toBeLessThan(0);
  expect(difference.moved).toBeGreaterThan(0);
  expect(difference.worst[0]!.after.ttftMs).toBeGreaterThan(difference.worst[0]!.before.ttftMs);
  expect(() => replay(again, { ...cluster, blockTokens: 16, selector: {} })).toThrow("set blockTokens");
  expect(() => parseDecisions("{}")).toThrow("Line 1 is no recorded decision");
  expect(() => compareReplays(aware, replay(again.slice(1), { ...cluster, selector: {} }))).toThrow(
    "not of the same workload",
  );
});

test("the block size of a log is what makes of every prompt as many full blocks as it has names", () => {
  const [decision] = parseDecisions(
    encodeDecision(
      {
        chosen: undefined,
        reason: "",
        policy: "p",
        request: { names: new BigUint64Array(0), promptTokens: 5 },
      },
      0,
    ),
  );
  const of = (promptTokens: number, blocks: number) => ({
    ...decision!,
    promptTokens,
    names: new BigUint64Array(blocks),
  });
  expect(blockTokensOfDecisions([of(5, 0), of(100, 6), of(16_007, 1_000)])).toBe(16);
  expect(blockTokensOfDecisions([of(129, 2), of(63, 0)])).toBe(64);
  expect(() => blockTokensOfDecisions([of(100, 6), of(100, 1)])).toThrow("each pool in a file of its own");
});

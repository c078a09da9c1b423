import { kvAware, roundRobin } from "@stator/router/selector";
import { expect, test } from "vitest";
import { replay } from "./replay/index.ts";
import { constantRate, conversationWorkload } from "./workload/index.ts";

test("the README's comparison comes out as it says", () => {
  const workload = conversationWorkload({ rate: constantRate(1), durationMs: 60_000 });
  const cluster = { workers: 4, prefillTokensPerSecond: 8000, interTokenMs: 20, kvBlocks: 10_000 };
  const aware = replay(workload, { ...cluster, selector: { policy: kvAware() } });
  const turns = replay(workload, { ...cluster, selector: { policy: roundRobin() } });
  expect([aware.hitRatio > turns.hitRatio, aware.meanTtftMs < turns.meanTtftMs]).toEqual([true, true]);
});

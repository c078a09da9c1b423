import type { Handoff } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { startKvPublisher, startVllmFake } from "@stator/engines/testing";
import { afterEach, expect, test } from "vitest";
import { runConformance } from "./run-conformance.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
const ids = { firstId: 33, lastId: 120 };

test("a server that keeps the contract is told so, with handover and events", async () => {
  const sideChannel = new Map<string, Handoff>();
  const publisher = await startKvPublisher();
  const engine = (): ReturnType<typeof createSimulatedEngine> =>
    createSimulatedEngine({ contextTokens: 512 });
  const [p, d] = [
    await startVllmFake({ engine: engine(), sideChannel, publisher }),
    await startVllmFake({ engine: engine(), sideChannel }),
  ];
  closing.push(
    () => p.close(),
    () => d.close(),
    () => publisher.close(),
  );
  const report = await runConformance({
    engine: {
      kind: "vllm",
      url: p.url,
      connector: "nixl",
      kvEvents: `${publisher.endpoint}?replay=${publisher.replay}`,
    },
    decode: { kind: "vllm", url: d.url, connector: "nixl" },
    ...ids,
  });
  expect(report.cases.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  expect(report.passed).toBeGreaterThan(10);
  expect(report.cases.slice(-2)).toMatchObject([{ outcome: "passed" }, { outcome: "passed" }]);
}, 30_000);

test("one that does not is told where", async () => {
  const fake = await startVllmFake({
    engine: createSimulatedEngine({ contextTokens: 512 }),
    fault: { afterTokens: 10, how: "vanish" },
  });
  closing.push(() => fake.close());
  const report = await runConformance({ engine: { kind: "vllm", url: fake.url }, ...ids });
  expect(report.failed).toBeGreaterThan(3);
  expect(report.cases[0]).toMatchObject({
    outcome: "failed",
    reason: expect.stringContaining("finish") as string,
  });
}, 30_000);

test("a model with fewer ids than the range has is asked with those that it takes", async () => {
  const fake = await startVllmFake({ engine: createSimulatedEngine({ contextTokens: 512 }) });
  closing.push(() => fake.close());
  const report = await runConformance({
    engine: { kind: "vllm", url: fake.url, vocabulary: 256 },
    firstId: 1_000,
    lastId: 30_000,
  });
  expect(report.cases.filter(({ outcome }) => outcome === "failed")).toEqual([]);
}, 30_000);

import { createRequest, createVirtualClock, type Engine, type GenerateRequest } from "@stator/core";
import { linearStepTime } from "@stator/engines/simulated";
import { always, createPool, disaggregated, migrating } from "@stator/router";
import type { Runtime } from "@stator/runtime";
import { afterEach, describe, expect, it } from "vitest";
import { collect, createEventLog } from "../collect/collect.ts";
import { createTestCluster, type TestCluster, type TestClusterOptions } from "./test-cluster.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const start = async (options: TestClusterOptions): Promise<TestCluster> => (cluster = await createTestCluster(options));
const aggregated = (runtime: Runtime): Engine => migrating(createPool({ workers: runtime.workers({ role: "decode" }) }));
const request = (over: Partial<GenerateRequest> = {}): GenerateRequest =>
  createRequest({
    id: "r",
    model: "tiny",
    promptIds: Uint32Array.from({ length: 100 }, (_, i) => 32 + ((i * 7) % 90)),
    limits: { maxTokens: 32 },
    ...over,
  });

describe.each(["memory", "http2"] as const)("a cluster over %s", (transport) => {
  it("goes on in another worker after a kill, as if nothing had happened", async () => {
    const { runtime, kill, undisturbed } = await start({ transport, workers: [{ role: "decode", count: 2, engine: { stepTime: linearStepTime({ baseMs: 2 }) } }] });
    const log = createEventLog();
    const run = collect(aggregated(runtime), request(), log);
    kill("decode-0", { afterTokens: 5 });
    expect(await run).toEqual(await undisturbed(request()));
    expect(log.of("migrated")).toMatchObject([{ from: "decode-0", cause: "crashed", outcome: "resumed" }]);
  });
});

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

describe("a cluster in virtual time", () => {
  const pace = { stepTime: linearStepTime({ baseMs: 20, perPrefillTokenMs: 0.1 }) };
  const virtual = async (options: Partial<TestClusterOptions> = {}): Promise<{ clock: ReturnType<typeof createVirtualClock> }> => {
    const clock = createVirtualClock();
    await start({ clock, workers: [{ role: "decode", count: 3, engine: pace }, { role: "prefill", count: 2, engine: pace }], ...options });
    return { clock };
  };
  const faults: [string, string, number][] = [
    ["kill", "crashed", 500],
    ["stop", "dead", 1_600],
    ["unplug", "dead", 1_600],
    ["freeze", "stuck", 3_000],
  ];
  it.each(faults)("%s in mid-stream: nothing is lost, cause %s, gap below %i ms", async (fault, cause, gapMs) => {
    const { clock } = await virtual();
    const { runtime, undisturbed } = cluster!;
    const log = createEventLog();
    const graph = migrating(createPool({ workers: runtime.workers({ role: "decode" }), clock }), { clock });
    const run = collect(graph, request({ sampling: { ...request().sampling, temperature: 0.8, seed: 7n }, topLogprobs: 2 }), log);
    for (const name of ["decode-0", "decode-1", "decode-2"]) (cluster![fault as "kill"])(name, { afterTokens: 5 });
    cluster!.at("decode-1", 99_999, () => {});
    cluster!.at("decode-2", 99_999, () => {});
    expect(await clock.run(run)).toEqual(await undisturbed(request({ sampling: { ...request().sampling, temperature: 0.8, seed: 7n }, topLogprobs: 2 })));
    expect(log.of("migrated")).toMatchObject([{ cause, outcome: "resumed" }]);
    expect(log.of("migrated")[0]!.gapMs).toBeLessThan(gapMs + 40);
    expect(graph.counts).toMatchObject({ active: 0, trackedTokens: 0, resumed: 1 });
  });

  it("disaggregated: prefill here, decode there, same text", async () => {
    const { clock } = await virtual();
    const { runtime, undisturbed } = cluster!;
    const log = createEventLog();
    const prefill = createPool({ workers: runtime.workers({ role: "prefill" }), clock });
    const decode = createPool({ workers: runtime.workers({ role: "decode" }), clock });
    const graph = migrating(disaggregated({ prefill, decode, when: always, clock }), { clock });
    const run = collect(graph, request(), log);
    cluster!.kill("decode-0", { afterTokens: 5 });
    expect(await clock.run(run)).toEqual(await undisturbed(request()));
    console.log(log.events.map((e) => [e.type, Math.round(e.atMs), "worker" in e ? e.worker : "", e.type === "migrated" ? [e.gapMs, e.recomputedTokens] : ""].join(" ")));
    expect({ prefill: prefill.counts.booked, decode: decode.counts.booked, kv: cluster!.usedBlocks() }).toEqual({ prefill: 0, decode: 0, kv: 0 });
  });
});

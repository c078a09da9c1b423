import { expect, test } from "vitest";
import { collectIds, createRequest, type RequestEvent } from "@stator/core";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createPool, migrating } from "@stator/router";
import { createRuntime } from "@stator/runtime";
import { preferSpot } from "./policy.ts";

type Routed = RequestEvent & { type: "routed" };

test("spot machines get the work while they cost less than 5 ms more", async () => {
  await using runtime = await createRuntime();
  const serve = (id: string, spot: string): Promise<unknown> =>
    runtime.serveEngine(createSimulatedEngine({ model: "tiny" }), { role: "both", id, labels: { spot } });
  await Promise.all([serve("on-demand", "false"), serve("spot", "true")]);
  const engine = migrating(createPool({ workers: runtime.workers({ model: "tiny" }), policy: preferSpot }));

  const routed: Routed[] = [];
  const onEvent = (event: RequestEvent): void => void (event.type === "routed" && routed.push(event));
  for (let i = 0; i < 5; i++) {
    const promptIds = Uint32Array.from({ length: 32 }, (_, k) => (i * 40 + k) % 250);
    await collectIds(engine, createRequest({ id: String(i), model: "tiny", promptIds }), { onEvent });
  }
  expect(routed).toHaveLength(5);
  expect(routed[0]?.worker).toBe("spot"); // nothing is known of either yet
  for (const { worker, candidates } of routed) {
    const cost = (id: string): number => candidates.find((c) => c.worker === id)?.costMs ?? Number.NaN;
    expect(worker).toBe(cost("spot") <= cost("on-demand") + 5 ? "spot" : "on-demand");
  }
});

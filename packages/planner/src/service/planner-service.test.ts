import { createServer, type Server } from "node:http2";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { PlannerLoop, PlannerService, type WatchPlanResponse } from "@stator/contracts";
import { createVirtualClock } from "@stator/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPlanner, type Planner } from "../control/create-planner.ts";
import type { Workers } from "../decision/types.ts";
import { createPlannerService } from "./planner-service.ts";

const clock = createVirtualClock();
let planner: Planner;
let server: Server;
let client: Client<typeof PlannerService>;
let target: Workers;
let queued: number;

beforeEach(async () => {
  target = { prefill: 1, decode: 1 };
  queued = 0;
  planner = createPlanner({
    clock,
    observe: {
      read: () =>
        Promise.resolve({
          durationMs: 10_000,
          requests: 50,
          inputTokens: 1000,
          outputTokens: 100,
          prefixHitRatio: 0,
          ttftMs: 120,
          itlMs: 9,
          workers: target,
          queuedPrefillTokens: queued,
          kvUsage: 0.7,
        }),
    },
    scaler: {
      state: () => Promise.resolve({ target, ready: target }),
      scale: (wanted) => Promise.resolve(void (target = wanted)),
    },
    slo: { ttftMs: 200, itlMs: 10 },
    limits: { graph: "disaggregated", gpus: 8 },
    intervalMs: 10_000,
    sampleMs: 10_000,
  });
  const service = createPlannerService({ planner, clock });
  server = createServer(connectNodeAdapter({ routes: (router) => service.routes(router) }));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = createClient(
    PlannerService,
    createConnectTransport({
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      httpVersion: "2",
    }),
  );
});
afterEach(async () => {
  server.close();
  await planner.close();
});

test("GetPlan waits for the first decision and answers with its reasons and the targets in force", async () => {
  expect((await client.getPlan({})).decision).toBeUndefined();
  const waited = client.getPlan({ waitMs: 10_000 });
  queued = 20_000;
  while (planner.decisions.length === 0) await planner.step();
  const { decision, targets } = await waited.then((answer) =>
    answer.decision === undefined ? client.getPlan({}) : answer,
  );
  expect(decision).toMatchObject({
    id: 1n,
    loop: PlannerLoop.SLOW,
    before: { prefill: 1, decode: 1 },
    target: { prefill: 2, decode: 1 },
    predictedTtftMs: 120,
    observed: { requests: 50, queuedPrefillTokens: 20_000 },
  });
  expect(decision!.reasons).toContainEqual(
    expect.objectContaining({
      role: "prefill",
      code: "pressure",
      message: "20.0 prompts wait for each worker",
    }),
  );
  expect(Math.abs(Number(decision!.decidedAtMs) - Date.now())).toBeLessThan(60_000);
  expect(targets).toMatchObject({ ttftMs: 200, itlMs: 10, percentile: 90, gpus: 8 });
});

test("WatchPlan tells the newest decision and each change after it, and a watcher that goes leaves nothing behind", async () => {
  await planner.step();
  const stop = new AbortController();
  const seen: WatchPlanResponse[] = [];
  const watching = (async () => {
    for await (const each of client.watchPlan({ changesOnly: true }, { signal: stop.signal })) {
      seen.push(each);
      if (seen.length === 1) {
        await planner.step(); // Nothing changes: not told.
        queued = 60_000;
        await planner.step();
      }
      if (seen.length === 2) return;
    }
  })();
  await watching;
  expect(seen.map(({ decision }) => decision!.id)).toEqual([1n, 3n]);
  expect(seen[1]!.decision!.target).toMatchObject({ prefill: 2, decode: 1 });
  expect(seen[1]!.skipped).toBe(0);
});

test("SetTargets holds from the next decision on; what cannot be kept is refused and changes nothing", async () => {
  queued = 60_000;
  const { targets } = await client.setTargets({ gpus: 2, ttftMs: 500 });
  expect(targets).toMatchObject({ gpus: 2, ttftMs: 500, itlMs: 10 });
  const { target: fitted, plan } = await planner.step();
  expect(fitted).toEqual({ prefill: 1, decode: 1 });
  expect(plan.reasons.map(({ code }) => code)).toContain("budget");
  const refused = await client
    .setTargets({ gpus: 2, minimum: { prefill: 2, decode: 2 }, percentile: 20 })
    .catch((error: unknown) => error);
  expect(ConnectError.from(refused).code).toBe(Code.InvalidArgument);
  expect(String(refused)).toMatch(/needs 4 GPUs of limits.gpus \(2\)/);
  expect(String(refused)).toMatch(/percentile \(20\)/);
  expect((await client.getPlan({})).targets).toMatchObject({ gpus: 2, percentile: 90 });
});

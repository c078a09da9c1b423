import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createVirtualClock } from "@stator/core";
import type { Interval, Workers } from "../decision/types.ts";
import { createMetricsSource } from "../observation/metrics-source.ts";
import type { Profile } from "../profile/profile.ts";
import type { Scaler } from "../scalers/scaler.ts";
import { webhook } from "../scalers/webhook.ts";
import { createPlanner } from "./create-planner.ts";

const profile: Profile = {
  version: 1,
  prefill: {
    gpusPerWorker: 1,
    points: [100, 3000, 8000].map((n) => ({ inputTokens: n, ttftMs: 8 + n * 0.016 })),
  },
  decode: {
    gpusPerWorker: 1,
    maxKvTokens: 900_000,
    points: [1000, 4000].flatMap((contextTokens) =>
      [0, 0.5, 1].map((kvUsage) => ({ kvUsage, contextTokens, itlMs: 5 + kvUsage * 40 })),
    ),
  },
};
const slo = { ttftMs: 200, itlMs: 10 };
const { signal } = new AbortController();

function memoryScaler(initial: Workers): Scaler & { target: Workers } {
  const scaler = {
    target: initial,
    state: () => Promise.resolve({ target: scaler.target, ready: scaler.target }),
    scale(target: Workers) {
      scaler.target = target;
      return Promise.resolve();
    },
  };
  return scaler;
}

test("scales up between slow rounds, down between them only while load falls, to the minimum when nothing comes, and logs why", async () => {
  const clock = createVirtualClock();
  const scaler = memoryScaler({ prefill: 1, decode: 1 });
  let rate = 2;
  const read = (): Promise<Interval> =>
    Promise.resolve({
      durationMs: 15_000,
      requests: rate * 15,
      inputTokens: rate === 0 ? 0 : 3000,
      outputTokens: rate === 0 ? 0 : 300,
      prefixHitRatio: 0,
      workers: scaler.target,
    });
  await using planner = createPlanner({
    observe: { read },
    scaler,
    profile,
    slo,
    limits: { graph: "disaggregated", gpus: 12 },
    clock,
    startupMs: 30_000,
  });
  const step = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      clock.advance(1);
      await planner.step();
    }
  };
  await step(2);
  rate = 30;
  await step(2);
  const busy = scaler.target;
  expect(busy.prefill + busy.decode).toBeGreaterThan(4);
  expect(busy.prefill + busy.decode).toBeLessThanOrEqual(12);
  rate = 0;
  for (let round = 0; round < 4; round++) {
    clock.advance(60_000);
    await step(10);
  }
  expect(scaler.target).toEqual({ prefill: 1, decode: 1 });
  for (const { loop, before, target, forecast } of planner.decisions) {
    if (loop === "slow" || forecast.requestsPerSecondLater! < 0.9 * forecast.requestsPerSecond) continue;
    expect(target.prefill).toBeGreaterThanOrEqual(before.prefill);
    expect(target.decode).toBeGreaterThanOrEqual(before.decode);
  }
  expect(planner.decisions.every(({ plan }) => plan.reasons.length > 0)).toBe(true);
});

test("orders workers seconds after a jump of arrivals, says so, and leaves what chance explains to the samples", async () => {
  const clock = createVirtualClock();
  const scaler = memoryScaler({ prefill: 1, decode: 1 });
  let rate = 5;
  let looks = 0;
  await using planner = createPlanner({
    observe: {
      read: () =>
        Promise.resolve({
          durationMs: 15_000,
          requests: rate * 15,
          inputTokens: 3000,
          outputTokens: 300,
          prefixHitRatio: 0,
          workers: scaler.target,
        }),
      arrived() {
        looks += 1;
        return Promise.resolve({ requests: rate * 5, ms: 5000 });
      },
    },
    scaler,
    profile,
    slo,
    limits: { graph: "disaggregated", gpus: 16 },
    startupMs: 30_000,
    clock,
  });
  const live = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1000) {
      clock.advance(1000);
      await new Promise(setImmediate);
    }
  };
  await live(121_000);
  expect(looks).toBe(16); // Two in every sample of 15 s.
  const calm = scaler.target;
  const decided = planner.decisions.length;
  rate = 25;
  await live(5000);
  expect(scaler.target.prefill + scaler.target.decode).toBeGreaterThan(calm.prefill + calm.decode);
  const [decision] = planner.decisions.slice(decided);
  expect(decision).toMatchObject({
    loop: "fast",
    observed: { requests: 125 },
    before: calm,
    target: scaler.target,
  });
  expect(decision!.plan.reasons[0]).toMatchObject({
    code: "surge",
    message: expect.stringMatching(/^125 requests came in 5.0 s/) as unknown,
  });
  expect(planner.decisions.map(({ id }) => id)).toEqual(planner.decisions.map((_, i) => i + 1));
});

test("sums several frontends, survives a counter reset, and leaves out one that is down", async () => {
  const counts = [10, 100];
  const text = (n: number): string =>
    [
      `stator_frontend_requests_total{model="m",status="success"} ${n}`,
      `stator_frontend_input_sequence_tokens_sum{model="m"} ${n * 500}`,
      `stator_frontend_input_sequence_tokens_count{model="m"} ${n}`,
      `stator_frontend_output_sequence_tokens_sum{model="m"} ${n * 50}`,
      `stator_frontend_output_sequence_tokens_count{model="m"} ${n}`,
      `stator_frontend_time_to_first_token_seconds_bucket{model="m",le="0.1"} ${n / 2}`,
      `stator_frontend_time_to_first_token_seconds_bucket{model="m",le="0.2"} ${n}`,
      `stator_frontend_time_to_first_token_seconds_bucket{model="m",le="+Inf"} ${n}`,
      `stator_frontend_requests_total{model="other",status="success"} 1e9`,
    ].join("\n");
  const servers = await Promise.all(
    counts.map(async (_, i) => {
      const server = createServer((_request, response) => response.end(text(counts[i]!)));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`);
  const clock = createVirtualClock();
  const source = createMetricsSource({
    urls: [...urls, "http://127.0.0.1:1/metrics"],
    model: "m",
    percentile: 75,
    workers: () => ({ prefill: 1, decode: 2 }),
    clock,
  });
  try {
    await source.read(signal);
    counts[0] = 30;
    counts[1] = 20; // It restarted.
    clock.advance(10_000);
    // One address is silent: what arrived cannot be told between samples.
    expect(await source.arrived!(signal)).toBeUndefined();
    const interval = await source.read(signal);
    expect(interval).toMatchObject({ durationMs: 10_000, requests: 40, inputTokens: 500, outputTokens: 50 });
    expect(interval.ttftMs).toBeCloseTo(150, 6);
  } finally {
    for (const server of servers) server.close();
  }
});

test("a webhook gets decisions with ids, and is asked what is ready", async () => {
  const posted: unknown[] = [];
  const fetch = ((_url: string, init: RequestInit) => {
    if (init.method === "POST") posted.push(JSON.parse(init.body as string));
    return Promise.resolve(
      new Response(JSON.stringify({ acknowledged: posted.length, ready: { prefill: 1, decode: 1 } })),
    );
  }) as typeof globalThis.fetch;
  const scaler = webhook({ url: "http://scaler.test", fetch });
  await scaler.scale({ prefill: 2, decode: 3 }, signal);
  await scaler.scale({ prefill: 2, decode: 4 }, signal);
  expect(posted).toEqual([
    { decision: 1, target: { prefill: 2, decode: 3 } },
    { decision: 2, target: { prefill: 2, decode: 4 } },
  ]);
  expect(await scaler.state(signal)).toEqual({
    target: { prefill: 2, decode: 4 },
    ready: { prefill: 1, decode: 1 },
  });
});

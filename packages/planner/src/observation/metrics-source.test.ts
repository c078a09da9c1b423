import { expect, test } from "vitest";
import { createVirtualClock } from "@stator/core";
import { createMetricsSource, type ObservationSource } from "./metrics-source.ts";

const { signal } = new AbortController();

/** Answers what `pages` holds for an address, and refuses connections for the rest. */
function sourceOf(pages: Readonly<Record<string, string>>, model?: string): ObservationSource {
  const fetch = ((url: string) =>
    url in pages
      ? Promise.resolve(new Response(pages[url]))
      : Promise.reject(new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED") }))) as never;
  return createMetricsSource({
    urls:
      Object.keys(pages).length === 0
        ? ["http://gone/metrics"]
        : [...Object.keys(pages), "http://gone/metrics"],
    ...(model === undefined ? {} : { model }),
    workers: () => ({ prefill: 1, decode: 1 }),
    clock: createVirtualClock(),
    fetch,
  });
}

test("addresses that do not answer are named, with the reason", async () => {
  await expect(sourceOf({}).read(signal)).rejects.toMatchObject({
    code: "PLANNER_OBSERVATION_FAILED",
    message: expect.stringMatching(/http:\/\/gone\/metrics: .*ECONNREFUSED/) as unknown,
  });
});

test("answers without a frontend's series are no idle load: workers whose frontends are gone, a Prometheus that reads others", async () => {
  for (const text of ["", "up 1\n", 'stator_worker_running_requests{worker="d0",model="m"} 3\n'])
    await expect(sourceOf({ "http://a/metrics": text }).read(signal)).rejects.toMatchObject({
      code: "PLANNER_OBSERVATION_FAILED",
      message: expect.stringMatching(/no stator_frontend_ series .*federate/) as unknown,
    });
});

test("a model that nothing is known of is refused with those that are there; before the first request none is", async () => {
  const fresh = 'stator_frontend_stage_requests{stage="queued"} 0\n';
  expect(await sourceOf({ "http://a/metrics": fresh }, "m").read(signal)).toMatchObject({ requests: 0 });
  const other = `${fresh}stator_frontend_requests_total{model="tiny"} 4\n`;
  await expect(sourceOf({ "http://a/metrics": other }, "tini").read(signal)).rejects.toThrow(
    /No series of model "tini" .* there are: tiny/,
  );
});

test("the queue of another model's worker is not this model's", async () => {
  const text = [
    'stator_frontend_requests_total{model="m"} 4',
    'stator_worker_running_requests{worker="a",model="m"} 1',
    'stator_worker_running_requests{worker="b",model="other"} 1',
    'stator_worker_queued_prefill_tokens{worker="a"} 30',
    'stator_worker_queued_prefill_tokens{worker="b"} 500',
  ].join("\n");
  expect(await sourceOf({ "http://a/metrics": text }, "m").read(signal)).toMatchObject({
    queuedPrefillTokens: 30,
  });
});

test("arrivals are told between reads and counted once more by the read; a Prometheus server's are not", async () => {
  let finished = 10;
  let active = 2;
  const clock = createVirtualClock();
  const fetch = (() =>
    Promise.resolve(
      new Response(
        `stator_frontend_requests_total{model="m"} ${finished}\nstator_frontend_active_requests{model="m"} ${active}\n`,
      ),
    )) as never;
  const workers = () => ({ prefill: 1, decode: 1 });
  const source = createMetricsSource({ urls: ["http://a/metrics"], workers, clock, fetch });
  await source.read(signal);
  [finished, active] = [14, 5];
  clock.advance(5000);
  expect(await source.arrived!(signal)).toEqual({ requests: 7, ms: 5000 });
  expect(await source.arrived!(signal)).toEqual({ requests: 0, ms: 0 });
  [finished, active] = [16, 4];
  clock.advance(10_000);
  expect(await source.read(signal)).toMatchObject({ requests: 8, durationMs: 15_000 });
  clock.advance(5000);
  finished = 3; // It restarted.
  expect(await source.arrived!(signal)).toEqual({ requests: 7, ms: 5000 });
  const federated = createMetricsSource({ urls: ["http://p/federate?match[]=x"], workers, clock, fetch });
  expect(await federated.arrived!(signal)).toBeUndefined();
});

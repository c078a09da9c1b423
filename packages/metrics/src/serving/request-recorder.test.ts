import { collectIds, createRequest, defineEngine, type RequestEvent } from "@stator/core";
import { describe, expect, test } from "vitest";
import { createMetrics, observed } from "@stator/metrics";
import { seriesOf } from "../testing/series-of.ts";

type Told = RequestEvent extends infer E
  ? E extends RequestEvent
    ? Omit<E, "requestId" | "choice" | "attempt">
    : never
  : never;

const told = (events: Told[], choice = 0): RequestEvent[] =>
  events.map((event) => ({ requestId: "r1", choice, attempt: 0, ...event }) as RequestEvent);

const ending = {
  type: "finished",
  reason: "stop",
  promptTokens: 100,
  outputTokens: 9,
  cachedTokens: 64,
} as const;

async function play(events: RequestEvent[], options = {}): Promise<Map<string, number>> {
  const metrics = createMetrics({ process: false, ...options });
  const recorder = metrics.startRequest({
    model: "tiny",
    endpoint: "chat_completions",
    stream: true,
    startMs: 1_000,
  });
  for (const event of events) recorder.onEvent(event);
  recorder.end();
  return seriesOf(await metrics.expose());
}

describe("request recorder", () => {
  test("time to first token, inter-token latency and lengths come from the events", async () => {
    const series = await play(
      told([
        { type: "queued", where: "frontend", atMs: 1_000 },
        { type: "firstToken", atMs: 1_300 },
        { type: "tokens", count: 1, atMs: 1_300 },
        { type: "tokens", count: 4, atMs: 1_400 },
        { type: "tokens", count: 4, atMs: 1_600 },
        { ...ending, atMs: 1_610 },
      ]),
    );
    const m = 'model="tiny"';
    expect(series.get(`stator_frontend_time_to_first_token_seconds_sum{${m}}`)).toBeCloseTo(0.3);
    // A chunk of n tokens counts n times its gap divided by n.
    expect(series.get(`stator_frontend_inter_token_latency_seconds_count{${m}}`)).toBe(8);
    expect(series.get(`stator_frontend_inter_token_latency_seconds_bucket{le="0.025",${m}}`)).toBe(4);
    expect(series.get(`stator_frontend_inter_token_latency_seconds_bucket{le="0.05",${m}}`)).toBe(8);
    expect(series.get(`stator_frontend_inter_token_latency_seconds_sum{${m}}`)).toBeCloseTo(0.3);
    expect(series.get(`stator_frontend_output_tokens_total{${m}}`)).toBe(9);
    expect(series.get(`stator_frontend_input_tokens_total{${m}}`)).toBe(100);
    expect(series.get(`stator_frontend_request_duration_seconds_sum{${m}}`)).toBeCloseTo(0.61);
    expect(series.get(`stator_frontend_active_requests{${m}}`)).toBe(0);
    expect(
      series.get(
        `stator_frontend_requests_total{endpoint="chat_completions",error_type="",${m},status="success",stream="true"}`,
      ),
    ).toBe(1);
    expect(series.get(`stator_router_kv_hit_ratio_sum{kind="actual",${m}}`)).toBeCloseTo(0.64);
  });

  test("objectives count good events exactly, with their thresholds as bucket edges", async () => {
    const slos = [
      { name: "ttft", objective: 0.99, thresholdSeconds: 0.317 },
      { name: "itl", objective: 0.9, thresholdSeconds: 0.033 },
      { name: "availability", objective: 0.999 },
    ];
    const series = await play(
      told([
        { type: "tokens", count: 1, atMs: 1_310 },
        { type: "tokens", count: 2, atMs: 1_370 },
        { type: "tokens", count: 1, atMs: 1_470 },
        { ...ending, atMs: 1_500 },
      ]),
      { slos },
    );
    expect(series.get('stator_slo_good_total{model="tiny",slo="ttft"}')).toBe(1);
    expect(series.get('stator_slo_events_total{model="tiny",slo="itl"}')).toBe(3);
    expect(series.get('stator_slo_good_total{model="tiny",slo="itl"}')).toBe(2);
    expect(series.get('stator_slo_good_total{model="tiny",slo="availability"}')).toBe(1);
    expect(series.get('stator_frontend_time_to_first_token_seconds_bucket{le="0.317",model="tiny"}')).toBe(1);
    expect(series.get('stator_slo_threshold_seconds{model="tiny",slo="itl"}')).toBe(0.033);
  });

  test("a migrated request counts its migration, gap and recomputed tokens", async () => {
    const series = await play(
      told([
        { type: "tokens", count: 1, atMs: 1_100 },
        {
          type: "migrated",
          from: "decode-0",
          cause: "crashed",
          outcome: "resumed",
          gapMs: 120,
          recomputedTokens: 40,
          atMs: 1_200,
        },
        { type: "tokens", count: 1, atMs: 1_230 },
        { ...ending, atMs: 1_300 },
      ]),
    );
    expect(
      series.get(
        'stator_migrations_total{cause="crashed",kind="ongoing_request",model="tiny",outcome="resumed"}',
      ),
    ).toBe(1);
    expect(series.get('stator_migration_gap_seconds_sum{kind="ongoing_request"}')).toBeCloseTo(0.12);
    expect(series.get('stator_migration_recomputed_tokens_total{model="tiny"}')).toBe(40);
  });

  test("several choices are one request, and every stage gauge is back at 0", async () => {
    const series = await play([
      ...told([{ type: "queued", where: "pool", atMs: 1_000 }], 0),
      ...told([{ type: "queued", where: "pool", atMs: 1_000 }], 1),
      ...told([{ ...ending, atMs: 1_500 }], 0),
      ...told([{ ...ending, reason: "error", code: "ROUTER_NO_WORKERS", atMs: 1_600 }], 1),
    ]);
    expect([...series].filter(([key]) => key.startsWith("stator_frontend_requests_total"))).toEqual([
      [
        'stator_frontend_requests_total{endpoint="chat_completions",error_type="ROUTER_NO_WORKERS",model="tiny",status="rejected",stream="true"}',
        1,
      ],
    ]);
    expect(series.get('stator_frontend_input_sequence_tokens_count{model="tiny"}')).toBe(1);
    expect(series.get('stator_frontend_output_sequence_tokens_count{model="tiny"}')).toBe(2);
    expect(series.get('stator_frontend_stage_requests{stage="queued"}')).toBe(0);
  });

  test("a client that leaves or errs is no event of the availability objective", async () => {
    const cancelled = await play(
      told([
        { type: "queued", where: "pool", atMs: 1_000 },
        { ...ending, reason: "cancelled", atMs: 1_010 },
      ]),
    );
    expect(cancelled.get('stator_slo_events_total{model="tiny",slo="availability"}')).toBe(0);
    expect(cancelled.get('stator_frontend_cancellations_total{model="tiny",reason="queued"}')).toBe(1);
    const erred = await play(
      told([{ ...ending, reason: "error", code: "FRONTEND_REQUEST_INVALID", atMs: 1_010 }]),
    );
    expect(erred.get('stator_slo_events_total{model="tiny",slo="availability"}')).toBe(0);
    const failed = await play(told([{ ...ending, reason: "error", code: "INTERNAL", atMs: 1_010 }]));
    expect(failed.get('stator_slo_events_total{model="tiny",slo="availability"}')).toBe(1);
    expect(failed.get('stator_slo_good_total{model="tiny",slo="availability"}')).toBe(0);
  });

  test("the server's word on the end counts before the events', and only once", async () => {
    const metrics = createMetrics({ process: false });
    const recorder = metrics.startRequest({ model: "tiny", startMs: 0 });
    for (const event of told([{ ...ending, reason: "cancelled", atMs: 50 }])) recorder.onEvent(event);
    recorder.end({ status: "error", errorType: "FRONTEND_DEADLINE" });
    recorder.end();
    const series = [...seriesOf(await metrics.expose())].filter(([key]) =>
      key.startsWith("stator_frontend_requests_total"),
    );
    expect(series).toEqual([
      [
        'stator_frontend_requests_total{endpoint="generate",error_type="FRONTEND_DEADLINE",model="tiny",status="error",stream="true"}',
        1,
      ],
    ]);
  });

  test("compat dynamo serves their names, compat gie the endpoint picker's", async () => {
    const metrics = createMetrics({ process: false, compat: ["dynamo", "gie"] });
    const recorder = metrics.startRequest({ model: "tiny", stream: false, startMs: 0 });
    for (const event of told([
      { type: "tokens", count: 2, atMs: 40 },
      { ...ending, atMs: 50 },
    ]))
      recorder.onEvent(event);
    recorder.end();
    const series = seriesOf(await metrics.expose());
    expect(
      series.get(
        'dynamo_frontend_requests_total{endpoint="generate",error_type="",model="tiny",request_type="unary",status="success"}',
      ),
    ).toBe(1);
    expect(series.get('dynamo_frontend_time_to_first_token_seconds_bucket{le="0.05",model="tiny"}')).toBe(1);
    const text = await metrics.expose();
    for (const name of ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"])
      expect(text).toContain(`# TYPE ${name} gauge`);
  });
});

describe("observed", () => {
  const tokenizer = { json: "{}", digest: "none", specialIds: { eos: [0] } };
  const request = createRequest({ id: "1", model: "echo", promptIds: Uint32Array.of(3, 5, 8) });

  test("measures any engine from its stream", async () => {
    const metrics = createMetrics({ process: false });
    const echo = defineEngine({ model: "echo", contextTokens: 64, tokenizer }, async function* (r) {
      for (const id of r.promptIds) yield { ids: [id] };
    });
    expect(await collectIds(observed(echo, { metrics }), request)).toEqual([3, 5, 8]);
    const series = seriesOf(await metrics.expose());
    expect(series.get('stator_frontend_output_tokens_total{model="echo"}')).toBe(3);
    expect(series.get('stator_frontend_time_to_first_token_seconds_count{model="echo"}')).toBe(1);
    expect(series.get('stator_frontend_active_requests{model="echo"}')).toBe(0);
  });

  test("counts a failure by its code, and passes it on", async () => {
    const metrics = createMetrics({ process: false });
    const broken = defineEngine({ model: "echo", contextTokens: 64, tokenizer }, async function* () {
      yield { ids: [1] };
      throw new Error("device lost");
    });
    await expect(collectIds(observed(broken, { metrics }), request)).rejects.toThrow("device lost");
    const series = seriesOf(await metrics.expose());
    expect(
      series.get(
        'stator_frontend_requests_total{endpoint="generate",error_type="INTERNAL",model="echo",status="error",stream="true"}',
      ),
    ).toBe(1);
  });
});

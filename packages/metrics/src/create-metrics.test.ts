import {
  createWorkerHealth,
  defineEngine,
  type Engine,
  type EngineStatus,
  type WorkerChange,
  type WorkerHandle,
} from "@stator/core";
import fc from "fast-check";
import { type OpenMetricsContentType, Counter as PromCounter, Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { createMetrics } from "@stator/metrics";
import { seriesOf } from "./testing/series-of.ts";

const bare = { process: false } as const;

describe("createMetrics", () => {
  test("counters, gauges and histograms come out under their full names", async () => {
    const metrics = createMetrics(bare);
    metrics
      .counter({ name: "guardrail_hits", help: "Prompts refused.", labels: ["rule"] })
      .labels({ rule: "pii" })
      .add(3);
    metrics.gauge({ name: "pool_size", unit: "bytes", help: "Size." }).labels({}).set(7);
    const latency = metrics.histogram({ name: "rank", unit: "seconds", help: "Time.", buckets: [0.1, 1] });
    latency.labels({}).observe(0.1);
    latency.labels({}).observe(0.5, 4);
    latency.labels({}).observe(9);

    const series = seriesOf(await metrics.expose());
    expect(series.get('stator_guardrail_hits_total{rule="pii"}')).toBe(3);
    expect(series.get("stator_pool_size_bytes")).toBe(7);
    expect(series.get('stator_rank_seconds_bucket{le="0.1"}')).toBe(1);
    expect(series.get('stator_rank_seconds_bucket{le="1"}')).toBe(5);
    expect(series.get('stator_rank_seconds_bucket{le="+Inf"}')).toBe(6);
    expect(series.get("stator_rank_seconds_count")).toBe(6);
    expect(series.get("stator_rank_seconds_sum")).toBeCloseTo(11.1);
  });

  test("a metric without labels is exposed as 0 before its first update", async () => {
    const metrics = createMetrics(bare);
    metrics.counter({ name: "things", help: "Things." });
    expect(seriesOf(await metrics.expose()).get("stator_things_total")).toBe(0);
  });

  test("the same name with the same shape is the same family; with another shape it is a conflict", () => {
    const metrics = createMetrics(bare);
    const options = { name: "things", help: "Things.", labels: ["kind"] } as const;
    expect(metrics.counter(options).labels({ kind: "a" })).toBe(
      metrics.counter(options).labels({ kind: "a" }),
    );
    expect(() => metrics.counter({ name: "things", help: "Things." })).toThrow(
      /"stator_things_total" exists already/,
    );
  });

  test("a process has a bound on its series: further label sets become other, and are counted", async () => {
    const metrics = createMetrics({ ...bare, maxLabelSets: 3 });
    const hits = metrics.counter({ name: "hits", help: "Hits.", labels: ["tenant"] });
    for (let i = 0; i < 10; i++) hits.labels({ tenant: `t${i}` }).add();
    hits.labels({ tenant: "t1" }).add();
    const series = seriesOf(await metrics.expose());
    expect(series.get('stator_hits_total{tenant="t1"}')).toBe(2);
    expect(series.get('stator_hits_total{tenant="other"}')).toBe(7);
    expect(series.get('stator_metrics_dropped_labels_total{metric="stator_hits_total"}')).toBe(7);
    expect([...series.keys()].filter((key) => key.startsWith("stator_hits_total"))).toHaveLength(4);
  });

  test("maxSeries bounds all families of the process together", async () => {
    const metrics = createMetrics({ ...bare, maxSeries: 100 });
    const times = metrics.histogram({
      name: "steps",
      unit: "seconds",
      help: "Steps.",
      labels: ["node"],
      buckets: [1, 2, 3],
    });
    for (let i = 0; i < 100; i++) times.labels({ node: String(i) }).observe(1);
    const series = seriesOf(await metrics.expose());
    const counts = [...series].filter(([key]) => key.startsWith("stator_steps_seconds_count"));
    expect(counts.length).toBeLessThan(18);
    expect(counts.reduce((sum, [, value]) => sum + value, 0)).toBe(100);
  });

  test("a removed series is gone, and a handle kept on it writes nowhere", async () => {
    const metrics = createMetrics(bare);
    const load = metrics.gauge({ name: "load", unit: "ratio", help: "Load.", labels: ["worker"] });
    const old = load.labels({ worker: "a" });
    old.set(1);
    load.remove({ worker: "a" });
    load.labels({ worker: "b" }).set(2);
    old.set(9);
    const series = seriesOf(await metrics.expose());
    expect(series.get('stator_load_ratio{worker="b"}')).toBe(2);
    expect(series.has('stator_load_ratio{worker="a"}')).toBe(false);
  });

  test("hierarchy labels are added to everything, and a scope's to its own", async () => {
    const metrics = createMetrics({ ...bare, hierarchy: { namespace: "prod", component: "frontend" } });
    metrics
      .scope({ component: "ranker", endpoint: "score" })
      .counter({ name: "ranked", help: "Ranked." })
      .labels({})
      .add();
    metrics.startRequest({ model: "tiny" }).end({ status: "success" });
    const series = seriesOf(await metrics.expose());
    expect(series.get('stator_ranked_total{component="ranker",endpoint="score",namespace="prod"}')).toBe(1);
    expect(
      series.get('stator_frontend_active_requests{component="frontend",model="tiny",namespace="prod"}'),
    ).toBe(0);
  });

  test("a registry of the user's is used, with what is in it", async () => {
    const registry = new Registry();
    const own = new PromCounter({ name: "acme_orders_total", help: "Orders.", registers: [registry] });
    own.inc(5);
    const metrics = createMetrics({ ...bare, registry });
    metrics.counter({ name: "hits", help: "Hits." }).labels({}).add(2);
    const series = seriesOf(await metrics.expose());
    expect(series.get("acme_orders_total")).toBe(5);
    expect(series.get("stator_hits_total")).toBe(2);
    const json = await registry.getMetricsAsJSON();
    expect(json.find((m) => m.name === "stator_hits_total")?.values).toMatchObject([{ value: 2 }]);
  });

  test("an OpenMetrics registry gets counters without a doubled suffix, and an end mark", async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const metrics = createMetrics({ ...bare, registry });
    metrics.counter({ name: "hits", help: "Hits." }).labels({}).add(2);
    const text = await metrics.expose();
    expect(metrics.contentType).toContain("openmetrics");
    expect(text).toContain("# TYPE stator_hits counter\nstator_hits_total 2\n");
    expect(text.endsWith("# EOF\n")).toBe(true);
  });

  test("a planner's targets are gauges, and their changes are counted", async () => {
    const metrics = createMetrics(bare);
    expect(await metrics.expose()).not.toContain("planner");
    for (const target of [2, 4, 3, 3]) metrics.planned([{ pool: "decode", target, current: 2 }]);
    const series = seriesOf(await metrics.expose());
    expect(series.get('stator_planner_target_replicas{role="decode"}')).toBe(3);
    expect(series.get('stator_planner_current_replicas{role="decode"}')).toBe(2);
    expect(series.get('stator_planner_scalings_total{direction="up",role="decode"}')).toBe(1);
    expect(series.get('stator_planner_scalings_total{direction="down",role="decode"}')).toBe(1);
  });

  test("a worker that is restarted under its name takes no counter back", async () => {
    const listeners = new Set<(change: WorkerChange) => void>();
    let current: readonly WorkerHandle[] = [];
    const metrics = createMetrics(bare);
    const tokenizer = { json: "{}", digest: "d", specialIds: { eos: [0] } };
    const silent = defineEngine({ model: "m", contextTokens: 100, tokenizer }, async function* () {});
    const card = silent.card!;
    metrics.watchWorkers({
      current: () => current,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    });
    /** One life of worker `a`, and how to tell of the steps of its engine. */
    const live = (epoch: string): ((step: number, sequence: bigint) => void) => {
      for (const handle of current) for (const tell of listeners) tell({ type: "left", handle });
      let onStatus: (status: EngineStatus) => void = () => {};
      const engine: Engine = {
        ...silent,
        card,
        onStatus(listener) {
          onStatus = listener;
          return () => {};
        },
      };
      const capacity = { requests: 4, queue: 0, kvBlocks: 100 };
      const worker = { id: "a", epoch, role: "both", model: "m", capacity, ranks: 1, labels: {} } as const;
      const handle = { worker, card, engine, health: createWorkerHealth({ worker: "a", epoch }) };
      current = [handle];
      for (const tell of listeners) tell({ type: "joined", handle });
      return (step, sequence) =>
        onStatus({
          step,
          stepAgeMs: 0,
          stepExpectedMs: 0,
          load: { running: 1, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 1, kvBlocksTotal: 100 },
          events: [{ worker: "a", epoch, sequence, events: [{ type: "cleared" }] }],
        });
    };
    const seen = async (): Promise<readonly (number | undefined)[]> => {
      const series = seriesOf(await metrics.expose());
      return ["worker_steps_total", "kv_event_gap_total"].map((name) =>
        series.get(`stator_${name}{worker="a"}`),
      );
    };
    const first = live("1");
    first(100, 1n);
    first(140, 2n);
    expect(await seen()).toEqual([40, 0]);
    // Its own counts begin at 0 again; what this process has counted does not.
    const second = live("2");
    second(0, 1n);
    expect(await seen()).toEqual([40, 0]);
    second(5, 2n);
    // An engine that is restarted within its process.
    second(0, 3n);
    second(2, 4n);
    expect(await seen()).toEqual([47, 0]);
  });

  test("label values are escaped, cut, and never code", async () => {
    const metrics = createMetrics(bare);
    const hits = metrics.counter({ name: "hits", help: "Hits.", labels: ["kind"] });
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (kind) => {
        hits.labels({ kind }).add();
      }),
    );
    hits.labels({ kind: "__proto__" }).add();
    hits.labels({ kind: "x".repeat(5_000) }).add();
    const text = await metrics.expose();
    for (const line of text.split("\n").filter((l) => l.startsWith("stator_hits_total")))
      expect(line).toMatch(/^stator_hits_total\{kind=".*"\} \d+$/);
    expect(text).not.toContain("x".repeat(121));
  });

  test("histograms agree with a plain count, for any values and edges", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.double({ min: 0.001, max: 100, noNaN: true }), { minLength: 1, maxLength: 20 }),
        fc.array(fc.double({ min: -1, max: 200, noNaN: true }), { maxLength: 50 }),
        async (edges, values) => {
          const buckets = [...edges].sort((a, b) => a - b);
          const metrics = createMetrics(bare);
          const series = metrics.histogram({ name: "v", help: "V.", buckets }).labels({});
          for (const value of values) series.observe(value);
          series.observe(Number.NaN);
          const out = seriesOf(await metrics.expose());
          for (const le of buckets)
            expect(out.get(`stator_v_bucket{le="${le}"}`)).toBe(values.filter((v) => v <= le).length);
          expect(out.get("stator_v_count")).toBe(values.length);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("names", () => {
  const metrics = createMetrics(bare);
  const help = "Help.";
  test.each([
    ["cacheHits", undefined, 'use name: "cache_hits"'],
    ["stator_cache_hits", undefined, 'use name: "cache_hits"'],
    ["cache_hits_total", undefined, 'use name: "cache_hits"'],
    ["rank_ms", undefined, 'use name: "rank" and unit: "seconds"'],
    ["rank_seconds", "seconds", 'use name: "rank"'],
    ["hits_by_tenant", undefined, 'use name: "hits"'],
    ["rank", "ms", 'measure in seconds and say unit: "seconds"'],
    ["usage", "percent", 'say unit: "ratio"'],
    ["usage", "Bytes", 'say unit: "bytes"'],
  ])("counter %s with unit %s is refused and told the right name", (name, unit, told) => {
    expect(() =>
      metrics.counter({ name, help, labels: ["tenant"], ...(unit === undefined ? {} : { unit }) }),
    ).toThrow(told);
  });

  test("labels without bound, and those of Prometheus, are refused", () => {
    expect(() => metrics.counter({ name: "a", help, labels: ["request_id"] })).toThrow("no bound");
    expect(() => metrics.counter({ name: "a", help, labels: ["le"] })).toThrow("belongs to Prometheus");
    expect(() => metrics.counter({ name: "a", help, labels: ["tenantName"] })).toThrow('use "tenant_name"');
    expect(() => metrics.counter({ name: "a", help, labels: ["x", "x"] })).toThrow("twice");
  });

  test("buckets, help, prefix and limits are checked by name", () => {
    expect(() => metrics.histogram({ name: "a", help, buckets: [2, 1] })).toThrow("ascending");
    expect(() => metrics.histogram({ name: "a", help, buckets: [] })).toThrow("ascending");
    expect(() => metrics.gauge({ name: "a", help: " " })).toThrow("help");
    expect(() => createMetrics({ prefix: "My-App" })).toThrow("prefix");
    expect(() => createMetrics({ maxSeries: 0 })).toThrow("maxSeries");
    expect(() => createMetrics({ slos: [{ name: "ttft", objective: 0.9 }] })).toThrow("thresholdSeconds");
    expect(() => createMetrics({ slos: [{ name: "availability", objective: 99 }] })).toThrow("objective");
  });
});

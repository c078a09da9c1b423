// What a measurement costs: ns per update against bare prom-client, interleaved, and ms per scrape by number of series.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { createMetrics, itlBuckets, type Metrics } from "@stator/metrics";

const rounds = 15;
const updates = 1_000_000;

interface Case {
  readonly name: string;
  readonly update: (i: number) => void;
}

function nsPerUpdate(update: (i: number) => void): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < updates; i++) update(i);
  return Number(process.hrtime.bigint() - start) / updates;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

function cases(): Case[] {
  const metrics = createMetrics({ process: false });
  const registers = [new Registry()];
  const labels = { model: "tiny", status: "success" } as const;
  const values = Float64Array.from({ length: 4_096 }, (_, i) => 0.0005 * 1.002 ** i);
  const value = (i: number): number => values[i & 4_095] as number;

  const counters = metrics.counter({ name: "bench_c", help: "c", labels: ["model", "status"] });
  const counter = counters.labels(labels);
  const gauge = metrics.gauge({ name: "bench_g", help: "g", labels: ["model", "status"] }).labels(labels);
  const histogram = metrics
    .histogram({ name: "bench_h", help: "h", labels: ["model", "status"], buckets: itlBuckets })
    .labels(labels);

  const labelNames = ["model", "status"];
  const promCounter = new Counter({ name: "c", help: "c", labelNames, registers });
  const promCounterChild = promCounter.labels(labels);
  const promGauge = new Gauge({ name: "g", help: "g", labelNames, registers }).labels(labels);
  const promHistogram = new Histogram({
    name: "h",
    help: "h",
    labelNames,
    registers,
    buckets: [...itlBuckets],
  }).labels(labels);

  return [
    { name: "counter, kept series", update: () => counter.add(1) },
    { name: "counter, looked up by two labels", update: () => counters.labels(labels).add(1) },
    { name: "gauge", update: (i) => gauge.set(i) },
    { name: "histogram of 19 buckets", update: (i) => histogram.observe(value(i)) },
    { name: "prom-client counter, kept child", update: () => promCounterChild.inc(1) },
    { name: "prom-client counter, looked up", update: () => promCounter.inc(labels, 1) },
    { name: "prom-client gauge", update: (i) => promGauge.set(i) },
    { name: "prom-client histogram", update: (i) => promHistogram.observe(value(i)) },
  ];
}

async function scrape(
  series: number,
): Promise<{ series: number; bytes: number; p50Ms: number; maxMs: number; promClientP50Ms: number }> {
  const metrics: Metrics = createMetrics({ process: false, maxSeries: 1_000_000, maxLabelSets: 1_000_000 });
  const registry = new Registry();
  const sets = Math.ceil(series / (itlBuckets.length + 3 + 10));
  const histogram = metrics.histogram({
    name: "scrape",
    unit: "seconds",
    help: "h",
    labels: ["worker"],
    buckets: itlBuckets,
  });
  const promHistogram = new Histogram({
    name: "h",
    help: "h",
    labelNames: ["worker"],
    registers: [registry],
    buckets: [...itlBuckets],
  });
  for (let i = 0; i < sets; i++) {
    histogram.labels({ worker: `w${i}` }).observe(0.01);
    promHistogram.observe({ worker: `w${i}` }, 0.01);
  }
  for (let c = 0; c < 10; c++) {
    const counter = metrics.counter({ name: `scrape_c${c}`, help: "c", labels: ["worker"] });
    const promCounter = new Counter({
      name: `c${c}`,
      help: "c",
      labelNames: ["worker"],
      registers: [registry],
    });
    for (let i = 0; i < sets; i++) {
      counter.labels({ worker: `w${i}` }).add(i + 1);
      promCounter.inc({ worker: `w${i}` }, i + 1);
    }
  }
  const ours: number[] = [];
  const theirs: number[] = [];
  let bytes = 0;
  for (let round = 0; round < 25; round++) {
    let start = performance.now();
    bytes = (await metrics.expose()).length;
    ours.push(performance.now() - start);
    start = performance.now();
    await registry.metrics();
    theirs.push(performance.now() - start);
  }
  return { series, bytes, p50Ms: median(ours), maxMs: Math.max(...ours), promClientP50Ms: median(theirs) };
}

/** A request of 128 tokens in chunks of one, all events told: µs and per token. */
function nsPerToken(): number {
  const metrics = createMetrics({ process: false });
  const requestId = "r";
  const choice = 0;
  const attempt = 0;
  const once = (): void => {
    const { onEvent, end } = metrics.startRequest({ model: "tiny", startMs: 0 });
    onEvent({ requestId, choice, attempt, type: "queued", where: "pool", atMs: 0 });
    for (let t = 1; t <= 128; t++) onEvent({ requestId, choice, attempt, type: "tokens", count: 1, atMs: t });
    onEvent({
      requestId,
      choice,
      attempt,
      type: "finished",
      reason: "stop",
      promptTokens: 512,
      outputTokens: 128,
      cachedTokens: 0,
      atMs: 130,
    });
    end();
  };
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 2_000; i++) once();
    times.push(Number(process.hrtime.bigint() - start) / 2_000 / 128);
  }
  return median(times);
}

export async function run(): Promise<unknown> {
  const all = cases();
  const times = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds + 3; round++) {
    for (const { name, update } of all) {
      const ns = nsPerUpdate(update);
      if (round >= 3) times.get(name)?.push(ns);
    }
  }
  const scrapes = [];
  for (const series of [1_000, 5_000, 20_000]) scrapes.push(await scrape(series));
  return {
    nsPerUpdate: Object.fromEntries(
      [...times].map(([name, values]) => [name, Number(median(values).toFixed(1))]),
    ),
    nsPerTokenOfARequest: Number(nsPerToken().toFixed(1)),
    scrape: scrapes,
  };
}

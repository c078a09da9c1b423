import { SpanKind } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import {
  collectIds,
  createRequest,
  defineEngine,
  type Engine,
  type RequestEvent,
  type WorkerHandle,
  type WorkerSource,
  wrapEngine,
} from "@stator/core";
import { beforeEach, describe, expect, test } from "vitest";
import { createTracing, parentContext, toTraceparent } from "@stator/metrics/otel";

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracing = createTracing({ tracer: provider.getTracer("test"), stallMs: 1 });
const tokenizer = { json: "{}", digest: "none", specialIds: { eos: [0] } };
const canary = 424_242;
const request = createRequest({
  id: "r1",
  model: "tiny",
  promptIds: Uint32Array.of(3, 5, canary),
  limits: { maxTokens: 4 },
});

beforeEach(() => exporter.reset());

function worker(id: string, ids: readonly number[], dies = false): WorkerHandle {
  const inner = defineEngine({ model: "tiny", contextTokens: 64, tokenizer }, async function* () {
    for (const token of ids) yield { ids: [token] };
    if (dies) throw new Error(`device of ${id} is lost`);
  });
  const engine = tracing.tracedWorker(inner, { id, role: "decode" });
  return {
    worker: { id, epoch: "1", role: "decode" },
    card: inner.card,
    health: {},
    engine,
  } as unknown as WorkerHandle;
}

/** Two attempts over the given workers, as a migrating graph makes them. */
function graph(source: WorkerSource): Engine {
  const [first, second] = source.current() as [WorkerHandle, WorkerHandle];
  const base = { requestId: "r1", choice: 0, atMs: performance.now() };
  return wrapEngine(first.engine, {
    async *generate(r, options) {
      const tell = (event: Partial<RequestEvent>): void =>
        options.onEvent?.({ ...base, atMs: performance.now(), attempt: 0, ...event } as RequestEvent);
      tell({ type: "queued", where: "pool" });
      tell({
        type: "routed",
        phase: "full",
        worker: first.worker.id,
        rank: 0,
        cachedTokens: 2,
        promptTokens: 3,
        costMs: 4,
        policy: "kv",
        decisionMs: 0.01,
        candidates: [],
        reason: "lowest",
      });
      let sent = 0;
      try {
        for await (const batch of first.engine.generate(r, options)) {
          sent += batch.ids.length;
          yield batch;
        }
      } catch {
        tell({
          type: "migrated",
          from: first.worker.id,
          cause: "crashed",
          outcome: "resumed",
          gapMs: 5,
          recomputedTokens: 3,
        });
        yield* second.engine.generate({ ...r, attempt: 1, outputIds: new Uint32Array(sent) }, options);
      }
    },
  });
}

function sourceOf(...handles: WorkerHandle[]): WorkerSource {
  return tracing.tracedWorkers({ current: () => handles, onChange: () => () => {} });
}

const named = (name: string): ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.name === name);

describe("tracing", () => {
  test("one trace holds the request, its attempts as siblings with links, and the workers' spans under them", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const engine = tracing.traced(graph(sourceOf(worker("a", [7, 8], true), worker("b", [9, 10]))));
    await collectIds(engine, { ...request, traceparent });
    const spans = exporter.getFinishedSpans();
    expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(
      new Set(["0af7651916cd43dd8448eb211c80319c"]),
    );

    const [top] = named("generate tiny") as [ReadableSpan];
    expect(top.kind).toBe(SpanKind.SERVER);
    expect(top.parentSpanContext?.spanId).toBe("b7ad6b7169203331");
    const [first, second] = named("rpc Generate") as [ReadableSpan, ReadableSpan];
    for (const attempt of [first, second]) {
      expect(attempt.kind).toBe(SpanKind.CLIENT);
      expect(attempt.parentSpanContext?.spanId).toBe(top.spanContext().spanId);
    }
    expect(first.links).toEqual([]);
    expect(second.links.map(({ context }) => context.spanId)).toEqual([first.spanContext().spanId]);
    expect(named("worker generate").map((span) => span.parentSpanContext?.spanId)).toEqual([
      first.spanContext().spanId,
      second.spanContext().spanId,
    ]);
    expect(named("route")[0]?.attributes).toMatchObject({
      "stator.worker": "a",
      "stator.route.cached_tokens": 2,
    });
    expect(named("prefill")).toHaveLength(2);
    expect(named("decode")).toHaveLength(2);
    expect(top.events.map(({ name }) => name)).toEqual(expect.arrayContaining(["first_token", "migrated"]));
    expect(top.attributes).toMatchObject({
      "stator.keep": true,
      "gen_ai.usage.input_tokens": 3,
      "gen_ai.usage.output_tokens": 4,
      "gen_ai.response.finish_reasons": ["length"],
    });
    const ids = new Set(spans.map((span) => span.spanContext().spanId));
    expect(spans.filter((span) => span !== top && !ids.has(span.parentSpanContext?.spanId ?? ""))).toEqual(
      [],
    );
  });

  test("without a traceparent a trace begins here", async () => {
    await collectIds(tracing.traced(graph(sourceOf(worker("a", [1, 2, 3, 4]), worker("b", [])))), request);
    expect(named("generate tiny")[0]?.parentSpanContext).toBeUndefined();
    expect(named("rpc Generate")).toHaveLength(1);
  });

  test("an error is on the span by its code; neither prompts nor messages are", async () => {
    const engine = tracing.traced(worker("a", [1], true).engine);
    await expect(collectIds(engine, request)).rejects.toThrow("is lost");
    const [top] = named("generate tiny") as [ReadableSpan];
    expect(top.attributes["error.type"]).toBe("INTERNAL");
    expect(top.status.message).toBe("INTERNAL");
    const everything = JSON.stringify(
      exporter
        .getFinishedSpans()
        .map(({ name, attributes, events, links, status }) => ({ name, attributes, events, links, status })),
    );
    expect(everything).not.toContain(String(canary));
    expect(everything).not.toContain("is lost");
  });

  test("a cancelled request ends its spans and is no error", async () => {
    const controller = new AbortController();
    const endless = defineEngine({ model: "tiny", contextTokens: 64, tokenizer }, async function* () {
      for (;;) yield { ids: [1] };
    });
    const engine = tracing.traced(tracing.tracedWorker(endless));
    const run = (async () => {
      for await (const batch of engine.generate(
        { ...request, limits: { maxTokens: 50 } },
        { signal: controller.signal },
      )) {
        if (batch.firstIndex === 2) controller.abort();
      }
    })();
    await expect(run).rejects.toMatchObject({ kind: "cancelled" });
    expect(
      exporter
        .getFinishedSpans()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["decode", "generate tiny", "prefill", "worker generate"]);
    expect(named("generate tiny")[0]?.attributes).toMatchObject({ "stator.cancelled": true });
  });

  test("a reader who stops at the final batch leaves no span open", async () => {
    const engine = tracing.traced(graph(sourceOf(worker("a", [1, 2, 3, 4]), worker("b", []))));
    const stream = engine.generate(request, { signal: new AbortController().signal });
    const iterator = stream[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await iterator.next();
      if (done === true || value.finish !== undefined) break;
    }
    // A wait is a span where the clock moved meanwhile.
    expect(
      exporter
        .getFinishedSpans()
        .map(({ name }) => name)
        .filter((name) => name !== "queue")
        .sort(),
    ).toEqual(["decode", "generate tiny", "prefill", "route", "rpc Generate", "worker generate"]);
  });

  test("without a provider everything runs and nothing is recorded", async () => {
    const silent = createTracing();
    expect(
      await collectIds(silent.traced(silent.tracedWorker(worker("a", [1, 2, 3, 4]).engine)), request),
    ).toEqual([1, 2, 3, 4]);
  });
});

describe("traceparent", () => {
  test.each([
    "",
    "x",
    "00-0-0-00",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
  ])("%j is not followed", (text) => {
    expect(parentContext(text)).toBe(parentContext(undefined));
  });

  test("what is written is read", () => {
    expect(
      toTraceparent({
        traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331",
        traceFlags: 1,
      }),
    ).toBe("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  });
});

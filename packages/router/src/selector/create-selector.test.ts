import {
  createRequest,
  hashSchemeXxh3,
  nameBlocks,
  silentLogger,
  type Counter,
  type Family,
  type Gauge,
  type Histogram,
  type InstrumentOptions,
  type KvEvent,
  type KvEventBatch,
  type Meter,
  type Worker,
} from "@stator/core";
import { describe, expect, test } from "vitest";
import { lowest } from "../policies/lowest.ts";
import { createSelector } from "./create-selector.ts";
import type { SelectorOptions } from "./options.ts";
import type { Policy, Selector } from "./selector.ts";

const card = { blockTokens: 16, hashScheme: hashSchemeXxh3, adapters: ["sql"] };
const prompt = Uint32Array.from({ length: 1600 }, (_, i) => i % 997);
const names = nameBlocks(prompt, { blockTokens: 16 });

const worker = (id: string, more: Partial<Worker> = {}): Worker => ({
  id,
  epoch: "1",
  role: "both",
  model: "m",
  capacity: { requests: 16, kvBlocks: 10_000, queue: 64 },
  ranks: 1,
  labels: {},
  ...more,
});

const batch = (
  id: string,
  sequence: bigint,
  events: readonly KvEvent[],
  more: Partial<KvEventBatch> = {},
): KvEventBatch => ({
  worker: id,
  epoch: "1",
  sequence,
  events,
  ...more,
});

const stored = (blocks: BigUint64Array, rank: number = 0): KvEvent => ({
  type: "stored",
  sequenceHashes: blocks,
  tier: "device",
  rank,
});

function setUp(
  options: SelectorOptions = {},
  ids: readonly string[] = ["a", "b", "c"],
): { selector: Selector; time: { ms: number } } {
  const time = { ms: 0 };
  const selector = createSelector({ clock: { now: () => time.ms }, ...options });
  for (const id of ids) selector.addWorker(worker(id), card);
  return { selector, time };
}

const ask = (selector: Selector, more: Parameters<typeof createRequest>[0] | object = {}) =>
  selector.prepare(createRequest({ id: "r", model: "m", promptIds: prompt, ...more }));

describe("createSelector", () => {
  test("sends a request to the worker that holds its prefix, and says why", () => {
    const { selector } = setUp();
    expect(selector.observe(batch("b", 1n, [stored(names.subarray(0, 60))]))).toBe("applied");
    const decision = selector.select(ask(selector), { explain: true });
    expect(decision.chosen).toMatchObject({ worker: "b", cachedTokens: 960 });
    expect(decision.reason).toMatch(/^lowest cost of 3 candidates, \d+ ms below the next$/);
    expect(decision.explanation?.candidates.map((each) => [each.worker, each.cachedTokens])).toEqual([
      ["a", 0],
      ["b", 960],
      ["c", 0],
    ]);
    expect(decision.explanation?.candidates[1]?.terms).toMatchObject({ queue: 0, transfer: 0, tier: 0 });
  });

  test("leaves a holder whose queue is longer than the prefix saves", () => {
    const { selector } = setUp();
    selector.observe(batch("b", 1n, [stored(names.subarray(0, 10))]));
    const big = createRequest({
      id: "big",
      model: "m",
      promptIds: new Uint32Array(50_000),
      hints: { pin: { worker: "b" } },
    });
    const booking = selector.book(selector.select(selector.prepare(big)));
    expect(selector.select(ask(selector)).chosen?.worker).not.toBe("b");
    booking.free();
    expect(selector.select(ask(selector)).chosen?.worker).toBe("b");
  });

  test("keeps a burst of siblings together before any event arrives", () => {
    const { selector } = setUp();
    const first = selector.book(selector.select(ask(selector)));
    const second = selector.select(ask(selector));
    expect(second.chosen).toMatchObject({ worker: first.worker, cachedTokens: 1536 });
  });

  test("forgets decisions of event-less workers after their time to live", () => {
    const { selector, time } = setUp({ approximateTtlMs: 1000 });
    selector.book(selector.select(ask(selector))).free();
    time.ms = 400;
    expect(selector.select(ask(selector)).chosen?.cachedTokens).toBe(1536);
    time.ms = 1600;
    expect(selector.select(ask(selector)).chosen?.cachedTokens).toBe(0);
  });

  test("orders event batches: duplicates ignored, gaps refused, snapshots replace, other lives are stale", () => {
    const { selector } = setUp();
    expect(selector.observe(batch("a", 2n, []))).toBe("gap");
    expect(selector.observe(batch("a", 1n, [stored(names)]))).toBe("applied");
    expect(selector.observe(batch("a", 1n, [{ type: "cleared", rank: 0 }]))).toBe("duplicate");
    expect(selector.observe(batch("a", 3n, []))).toBe("gap");
    expect(selector.select(ask(selector)).chosen).toMatchObject({ worker: "a", cachedTokens: 1600 });
    expect(selector.observe(batch("a", 7n, [stored(names.subarray(0, 5))], { isSnapshot: true }))).toBe(
      "applied",
    );
    expect(selector.nextSequence("a")).toBe(8n);
    expect(selector.select(ask(selector)).chosen).toMatchObject({ worker: "a", cachedTokens: 80 });
    expect(selector.observe({ ...batch("a", 8n, []), epoch: "2" })).toBe("stale");
  });

  test("another epoch of a worker starts empty", () => {
    const { selector } = setUp();
    selector.observe(batch("a", 1n, [stored(names)]));
    selector.addWorker(worker("a", { epoch: "2" }), card);
    expect(selector.loads().find((load) => load.worker === "a")).toMatchObject({
      epoch: "2",
      indexedBlocks: 0,
    });
  });

  test("costs each data-parallel rank on its own", () => {
    const { selector } = setUp({}, []);
    selector.addWorker(worker("dp", { ranks: 4 }), card);
    selector.observe(batch("dp", 1n, [stored(names.subarray(0, 50), 2)]));
    expect(selector.select(ask(selector)).chosen).toMatchObject({ worker: "dp", rank: 2, cachedTokens: 800 });
    expect(selector.loads()).toHaveLength(4);
  });

  test("respects avoid, pins, labels, adapters, draining and the caller's veto", () => {
    const { selector } = setUp();
    selector.addWorker(worker("gpu", { labels: { kind: "h100" } }), { ...card, adapters: ["law"] });
    const chosen = (more: object): string | undefined => selector.select(ask(selector, more)).chosen?.worker;
    expect(chosen({ hints: { requireLabels: { kind: "h100" } } })).toBe("gpu");
    expect(chosen({ hints: { pin: { worker: "c" } } })).toBe("c");
    expect(chosen({ adapter: "law" })).toBe("gpu");
    const avoid = ["a", "b", "gpu"].map((id) => ({ worker: id, epoch: "1" }));
    expect(chosen({ avoid })).toBe("c");
    expect(
      selector.select({ ...ask(selector, { avoid }), exclude: (id) => (id === "c" ? "suspect" : undefined) }),
    ).toMatchObject({
      chosen: undefined,
      reason: "all 4 excluded: avoided (3), suspect",
    });
    const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 1 };
    selector.observeStatus("gpu", "1", { step: 1, stepAgeMs: 0, stepExpectedMs: 0, load, isDraining: true });
    expect(selector.select(ask(selector, { adapter: "law" })).reason).toContain("draining");
  });

  test("learns each worker's prefill speed from bookings", () => {
    const { selector, time } = setUp({}, ["fast", "slow"]);
    for (let i = 0; i < 40; i++) {
      for (const [id, rate] of [
        ["fast", 20],
        ["slow", 5],
      ] as const) {
        const promptIds = Uint32Array.from({ length: 1000 + 100 * (i % 7) }, (_, k) => k * 31 + i * 7919);
        const request = createRequest({ id: "x", model: "m", promptIds, hints: { pin: { worker: id } } });
        const booking = selector.book(selector.select(selector.prepare(request)));
        time.ms += promptIds.length / rate;
        booking.prefilled({ cachedTokens: 0 });
        booking.free();
      }
    }
    const perToken = selector.loads().map((load) => load.prefill.msPerToken);
    expect(perToken[0]! * 20).toBeCloseTo(1, 0);
    expect(perToken[1]! * 5).toBeCloseTo(1, 0);
    expect(perToken[1]! / perToken[0]!).toBeGreaterThan(3);
  });

  test("stops believing a worker whose cached tokens never come true, loudly, and recovers", () => {
    const errors: string[] = [];
    const quiet = () => {};
    const { selector } = setUp({
      logger: { debug: quiet, info: quiet, warn: quiet, error: (message) => errors.push(message) },
    });
    selector.observe(batch("a", 1n, [stored(names)]));
    const serve = (cachedTokens: number): void => {
      const booking = selector.book(selector.select(ask(selector, { hints: { pin: { worker: "a" } } })));
      booking.prefilled({ cachedTokens });
      booking.free();
    };
    for (let i = 0; i < 12; i++) serve(0);
    expect(errors).toHaveLength(1);
    expect(selector.loads()[0]?.prediction.isDistrusted).toBe(true);
    expect(selector.select(ask(selector, { hints: { pin: { worker: "a" } } })).chosen?.cachedTokens).toBe(0);
    for (let i = 0; i < 80; i++) serve(1600);
    expect(selector.loads()[0]?.prediction.isDistrusted).toBe(false);
  });

  test("a worker that finds far more than its events say is routed by our own decisions too, loudly", () => {
    const errors: string[] = [];
    const quiet = () => {};
    const { selector } = setUp({
      speculativeTtlMs: 0,
      logger: { debug: quiet, info: quiet, warn: quiet, error: (message) => errors.push(message) },
    });
    // Its feed says only this much, though the engine keeps the whole prompt.
    selector.observe(batch("a", 1n, [stored(names.subarray(0, 10))]));
    const pinned = { hints: { pin: { worker: "a" } } };
    const serve = (cachedTokens: number): void => {
      const booking = selector.book(selector.select(ask(selector, pinned)));
      booking.prefilled({ cachedTokens });
      booking.free();
    };
    // Half a block more is what an engine with finer blocks finds, and no gap.
    for (let i = 0; i < 12; i++) serve(168);
    expect(errors).toEqual([]);
    for (let i = 0; i < 40; i++) serve(1600);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain("more cached than its KV events say");
    expect(selector.loads()[0]?.prediction.isUnderstated).toBe(true);
    expect(selector.select(ask(selector, pinned)).chosen?.cachedTokens).toBeGreaterThan(1000);
    for (let i = 0; i < 1100; i++) serve(1600);
    expect(selector.loads()[0]?.prediction.isUnderstated).toBe(false);
  });

  test("frees everything that bookings added, whatever their order", () => {
    const { selector } = setUp();
    const bookings = Array.from({ length: 20 }, () => selector.book(selector.select(ask(selector))));
    bookings[3]!.prefilled();
    bookings[5]!.progress(100);
    for (const booking of bookings) {
      booking.free();
      booking.free();
      booking.progress(500);
    }
    for (const load of selector.loads())
      expect(load).toMatchObject({ activeRequests: 0, queuedPrefillTokens: 0, decodeBlocks: 0 });
  });

  test("counts what others sent to a worker from its own report", () => {
    const { selector } = setUp();
    const load = {
      running: 3,
      waiting: 2,
      queuedPrefillTokens: 40_000,
      kvBlocksUsed: 100,
      kvBlocksTotal: 1000,
    };
    selector.observeStatus("a", "1", { step: 1, stepAgeMs: 0, stepExpectedMs: 0, load });
    expect(selector.loads()[0]).toMatchObject({ activeRequests: 5, queuedPrefillTokens: 40_000 });
    expect(selector.select(ask(selector)).chosen?.worker).not.toBe("a");
  });

  test("counts KV that leaked as memory in use, and waits for it where a prompt does not fit beside it", () => {
    const { selector } = setUp();
    const tell = (worker: string, kvBlocksLeaked: number): void => {
      const load = {
        running: 0,
        waiting: 0,
        queuedPrefillTokens: 0,
        kvBlocksUsed: 9_950,
        kvBlocksTotal: 10_000,
      };
      selector.observeStatus(worker, "1", {
        step: 1,
        stepAgeMs: 0,
        stepExpectedMs: 0,
        load: { ...load, ...(kvBlocksLeaked === 0 ? {} : { kvBlocksLeaked }) },
      });
    };
    // What is in use without a request is cache, unless it leaked.
    tell("a", 0);
    tell("b", 5_000);
    tell("c", 9_950);
    const decision = selector.select({ ...ask(selector), phase: "prefill" }, { explain: true });
    const terms = new Map(decision.explanation?.candidates.map(({ worker, terms }) => [worker, terms]));
    expect(terms.get("a")).not.toHaveProperty("leak");
    expect(terms.get("b")).not.toHaveProperty("leak");
    // Its 100 blocks, or somewhat fewer as they are counted, of which 50 are free.
    expect(terms.get("c")?.["leak"]).toBeLessThanOrEqual((50 / 9_950) * 30_000);
    expect(terms.get("c")?.["leak"]).toBeGreaterThan((40 / 9_950) * 30_000);
    expect(decision.chosen?.worker).not.toBe("c");
    expect(selector.loads().map(({ leakedBlocks }) => leakedBlocks)).toEqual([0, 5_000, 9_950]);
    tell("c", 0);
    expect(selector.loads()[2]).toMatchObject({ leakedBlocks: 0, decodeBlocks: 0 });
  });

  test("takes KV that a peer holds as transfer instead of prefill", () => {
    const { selector } = setUp();
    const request = {
      ...ask(selector),
      phase: "decode" as const,
      heldBy: { worker: "elsewhere", tokens: 1600 },
    };
    expect(selector.select(request).chosen).toMatchObject({ prefillMs: 0, transferMs: 2 + 1600 * 0.01 });
  });

  test("refuses workers whose names could never match", () => {
    const { selector } = setUp();
    expect(() => selector.addWorker(worker("z"), { ...card, blockTokens: 32 })).toThrow(
      "Worker z has blocks of 32 tokens; the others here have 16.",
    );
    expect(() => selector.addWorker(worker("z"), { ...card, hashScheme: "sha" })).toThrow(
      "names blocks by sha",
    );
  });

  test("a user's policy is one function over costed candidates", () => {
    const preferSpot: Policy = ({ candidates }) =>
      lowest(candidates, (c) => c.costMs + (c.labels.spot ? 0 : 5));
    const { selector } = setUp({ policy: preferSpot });
    selector.addWorker(worker("s", { labels: { spot: "yes" } }), card);
    expect(selector.select(ask(selector))).toMatchObject({ chosen: { worker: "s" }, policy: "preferSpot" });
  });

  test("estimates without booking", () => {
    const { selector } = setUp();
    selector.observe(batch("b", 1n, [stored(names.subarray(0, 50))]));
    expect(selector.estimate(ask(selector))).toMatchObject({ cachedTokens: 800, queueMs: 0 });
    expect(createSelector().estimate(ask(selector))).toBeUndefined();
  });

  test("a second selector starts warm from the first one's dumps", () => {
    const { selector } = setUp();
    selector.observe(
      batch("b", 1n, [
        stored(names.subarray(0, 60)),
        { ...stored(names.subarray(0, 80)), tier: "host" } as KvEvent,
      ]),
    );
    const { selector: replica } = setUp();
    expect(replica.observe(selector.dump("b")!)).toBe("applied");
    expect(replica.holdings(names)).toEqual(selector.holdings(names));
    expect(replica.holdings(names)).toEqual([
      { worker: "b", epoch: "1", rank: 0, blocks: 80, hostBlocks: 20, diskBlocks: 0 },
    ]);
    expect(replica.nextSequence("b")).toBe(2n);
    expect(selector.dump("a")).toBeUndefined();
  });

  test("measures predictions against what came true, and snapshots that differ from the index", () => {
    const { meter, read } = recordingMeter();
    const { selector } = setUp({ meter });
    selector.observe(batch("b", 1n, [stored(names.subarray(0, 60))]));
    const same = batch("b", 1n, [stored(names.subarray(0, 60))], { isSnapshot: true });
    expect(selector.observe(same)).toBe("duplicate");
    expect(read("kv_index_digest_mismatch b")).toBe(0);
    expect(selector.observe({ ...same, events: [stored(names.subarray(0, 40))] })).toBe("applied");
    expect(read("kv_index_digest_mismatch b")).toBe(1);
    expect(selector.holdings(names)).toMatchObject([{ worker: "b", blocks: 40 }]);

    for (let i = 0; i < 10; i++) {
      const pinned = selector.prepare(
        createRequest({ id: "r", model: "m", promptIds: prompt, hints: { pin: { worker: "b" } } }),
      );
      const booking = selector.book(selector.select(pinned));
      booking.prefilled({ cachedTokens: 0 });
      booking.free();
    }
    expect(read("router_predicted_cached b")).toBeGreaterThan(640);
    expect(read("router_actual_cached b")).toBe(0);
    expect(read("router_predictions_distrusted b")).toBe(1);
    expect(read("router_predictions_distrusted a")).toBe(0);
    selector.removeWorker("b");
    expect(read("router_predictions_distrusted b")).toBeUndefined();
  });

  describe("proves that events come back", () => {
    const other = (seed: number): Uint32Array =>
      Uint32Array.from({ length: 320 }, (_, i) => (i * 31 + seed * 7919) % 50_000);
    /** One request computed on `a`; its blocks come back as an event or do not. */
    function compute(selector: Selector, time: { ms: number }, seed: number, sequence?: bigint): void {
      const request = createRequest({
        id: "r",
        model: "m",
        promptIds: other(seed),
        hints: { pin: { worker: "a" } },
      });
      const booking = selector.book(selector.select(selector.prepare(request)));
      time.ms += 50;
      booking.prefilled();
      booking.free();
      if (sequence !== undefined)
        selector.observe(batch("a", sequence, [stored(nameBlocks(other(seed), { blockTokens: 16 }))]));
      time.ms += 3100;
      selector.select(ask(selector));
    }
    const logged: string[] = [];
    const logger = {
      ...silentLogger,
      error: (message: string) => void logged.push(`error ${message}`),
      warn: (message: string) => void logged.push(`warn ${message}`),
      info: (message: string) => void logged.push(`info ${message}`),
    };

    test("falls back to own decisions when a feed goes silent, says so, and trusts it again", () => {
      logged.length = 0;
      const { selector, time } = setUp({ logger, speculativeTtlMs: 0 });
      compute(selector, time, 1, 1n);
      compute(selector, time, 2, 2n);
      expect(selector.loads()[0]).toMatchObject({ worker: "a", hasEvents: true });
      for (const seed of [3, 4, 5]) compute(selector, time, seed);
      expect(selector.loads()[0]).toMatchObject({ hasEvents: false });
      expect(logged).toEqual([expect.stringMatching(/^error What this worker computes does not come back/)]);
      // Approximate mode: a sibling is expected where its prefix was computed, though no event told so.
      compute(selector, time, 6);
      const sibling = selector.select(
        selector.prepare(createRequest({ id: "s", model: "m", promptIds: other(6) })),
      );
      expect(sibling.chosen).toMatchObject({ worker: "a", cachedTokens: 320 });
      compute(selector, time, 7, 3n);
      expect(selector.loads()[0]).toMatchObject({ hasEvents: true });
      expect(logged.at(-1)).toMatch(/^info .*again/);
    });

    test("says once that a worker sends no events at all", () => {
      logged.length = 0;
      const { selector, time } = setUp({ logger });
      for (const seed of [1, 2, 3, 4, 5]) compute(selector, time, seed);
      expect(logged).toEqual([expect.stringMatching(/^warn This worker sends no KV events/)]);
    });
  });

  test("refuses a worker with another tokenizer, until those that had the first are gone", () => {
    const { selector } = setUp({}, []);
    selector.addWorker(worker("a"), { ...card, tokenizer: { digest: "sha256:one" } });
    selector.addWorker(worker("b"), card);
    const odd = { ...card, tokenizer: { digest: "sha256:two" } };
    expect(() => selector.addWorker(worker("c"), odd)).toThrow(
      expect.objectContaining({ code: "ROUTER_TOKENIZER_MISMATCH" }),
    );
    selector.removeWorker("a");
    selector.removeWorker("b");
    selector.addWorker(worker("c"), odd);
    expect(selector.loads().map((load) => load.worker)).toEqual(["c"]);
  });
});

/** Keeps the figures of `worker`-labelled series by "name worker". */
function recordingMeter(): { meter: Meter; read: (key: string) => number | undefined } {
  const figures = new Map<string, number>();
  const family = ({ name }: InstrumentOptions): Family<Counter & Gauge & Histogram> => ({
    labels({ worker: id }) {
      const key = `${name} ${id}`;
      const add = (value = 1): void => void figures.set(key, (figures.get(key) ?? 0) + value);
      add(0);
      return { add, set: (value) => void figures.set(key, value), observe: () => {} };
    },
    remove: ({ worker: id }) => void figures.delete(`${name} ${id}`),
  });
  return { meter: { counter: family, gauge: family, histogram: family }, read: (key) => figures.get(key) };
}

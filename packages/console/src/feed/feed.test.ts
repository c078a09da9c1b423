import type {
  Clock,
  EngineStatus,
  RequestEvent,
  WorkerChange,
  WorkerHandle,
  WorkerSource,
  WorkerState,
} from "@stator/core";
import { describe, expect, test } from "vitest";
import { createFeed, type Feed } from "./feed.ts";
import type { FeedMessage } from "./views.ts";

interface Stage {
  readonly clock: Clock & { pass(ms: number): void };
  readonly feed: Feed;
  readonly tell: (event: Partial<RequestEvent> & { readonly type: string }) => void;
  readonly join: (id: string, epoch?: string) => Worker;
}

interface Worker {
  readonly handle: WorkerHandle;
  readonly status: (load: Partial<EngineStatus["load"]>) => void;
  readonly become: (state: WorkerState, reason?: string) => void;
  readonly leave: () => void;
}

function manualClock(): Clock & { pass(ms: number): void } {
  let nowMs = 1_000;
  const due: { atMs: number; fn: () => void }[] = [];
  return {
    now: () => nowMs,
    schedule(delayMs, fn) {
      const entry = { atMs: nowMs + delayMs, fn };
      due.push(entry);
      return { cancel: () => void due.splice(due.indexOf(entry), 1) };
    },
    pass(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const next = due.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        nowMs = next.atMs;
        due.splice(due.indexOf(next), 1);
        next.fn();
      }
      nowMs = endMs;
    },
  };
}

function stage(mostRequests = 50): Stage {
  const clock = manualClock();
  const handles: WorkerHandle[] = [];
  const listeners = new Set<(change: WorkerChange) => void>();
  const source: WorkerSource = {
    current: () => handles,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const feed = createFeed({ title: "Test", workers: [source], mostRequests, intervalMs: 100, clock });
  return {
    clock,
    feed,
    tell: (event) =>
      feed.observe({ requestId: "r1", choice: 0, attempt: 0, atMs: clock.now(), ...event } as RequestEvent),
    join(id, epoch = "1") {
      let onStatus: ((status: EngineStatus) => void) | undefined;
      let onHealth: ((state: WorkerState) => void) | undefined;
      const health = {
        state: "ready" as WorkerState,
        reason: undefined as string | undefined,
        onChange: (l: (s: WorkerState) => void) => ((onHealth = l), () => (onHealth = undefined)),
      };
      const engine = {
        onStatus: (l: (s: EngineStatus) => void) => ((onStatus = l), () => (onStatus = undefined)),
      };
      const worker = {
        id,
        epoch,
        role: "decode",
        model: "tiny",
        capacity: { requests: 8, kvBlocks: 100, queue: 8 },
        ranks: 1,
        labels: {},
      };
      const handle = { worker, card: {}, health, engine } as unknown as WorkerHandle;
      handles.push(handle);
      for (const listener of listeners) listener({ type: "joined", handle });
      return {
        handle,
        status: (load) =>
          onStatus?.({
            step: 1,
            stepAgeMs: 0,
            stepExpectedMs: 0,
            load: {
              running: 0,
              waiting: 0,
              queuedPrefillTokens: 0,
              kvBlocksUsed: 0,
              kvBlocksTotal: 100,
              ...load,
            },
          }),
        become(state, reason) {
          health.state = state;
          health.reason = reason;
          onHealth?.(state);
        },
        leave() {
          handles.splice(handles.indexOf(handle), 1);
          for (const listener of listeners) listener({ type: "left", handle });
        },
      };
    },
  };
}

function reading(feed: Feed): { readonly messages: FeedMessage[]; readonly last: () => FeedMessage } {
  const messages: FeedMessage[] = [];
  feed.subscribe((message) => messages.push(message) > 0);
  return { messages, last: () => messages.at(-1) as FeedMessage };
}

const routed = {
  type: "routed",
  phase: "full",
  rank: 0,
  cachedTokens: 64,
  promptTokens: 100,
  costMs: 12,
  policy: "kvAware",
  decisionMs: 0.1,
  reason: "lowest cost",
} as const;

describe("feed", () => {
  test("a page gets everything first, then only what changed", () => {
    const { clock, feed, join } = stage();
    const a = join("a");
    join("b");
    const page = reading(feed);
    expect(page.last().workers.map(({ id }) => id)).toEqual(["a", "b"]);
    a.status({ running: 3, kvBlocksUsed: 40 });
    clock.pass(100);
    expect(page.last().workers).toMatchObject([{ id: "a", running: 3, kvBlocksUsed: 40 }]);
    clock.pass(100);
    expect(page.last().workers).toEqual([]);
  });

  test("a request is followed through its stages, with its decision, times and end", () => {
    const { clock, feed, tell, join } = stage();
    join("a");
    const page = reading(feed);
    tell({ type: "queued" });
    clock.pass(20);
    tell({
      ...routed,
      worker: "a",
      candidates: [
        { worker: "b", rank: 0, cachedTokens: 0, costMs: 40, terms: { prefill: 30, decode: 10 } },
        { worker: "a", rank: 0, cachedTokens: 64, costMs: 12, terms: { prefill: 2, decode: 10 } },
      ],
    });
    clock.pass(80);
    tell({ type: "firstToken" });
    tell({ type: "tokens", count: 1 });
    clock.pass(100);
    expect(page.last().requests).toMatchObject([
      {
        stage: "decode",
        model: "tiny",
        worker: "a",
        ttftMs: 100,
        promptTokens: 100,
        cachedTokens: 64,
        outputTokens: 1,
      },
    ]);
    tell({ type: "tokens", count: 4 });
    tell({ type: "finished", reason: "stop", promptTokens: 100, outputTokens: 5, cachedTokens: 64 });
    clock.pass(100);
    const [request] = page.last().requests;
    expect(request).toMatchObject({
      stage: "done",
      end: "stop",
      outputTokens: 5,
      itlMs: 25,
      durationMs: 200,
    });
    expect(request?.decisions[0]?.candidates.map(({ worker }) => worker)).toEqual(["a", "b"]);
  });

  test("a migration is in its request and among the flows", () => {
    const { clock, feed, tell, join } = stage();
    join("a");
    const page = reading(feed);
    tell({ type: "queued" });
    tell({ ...routed, worker: "a", candidates: [] });
    tell({ ...routed, worker: "b", candidates: [] });
    tell({
      type: "migrated",
      from: "a",
      cause: "crashed",
      outcome: "resumed",
      gapMs: 50,
      recomputedTokens: 7,
    });
    clock.pass(100);
    expect(page.last().flows).toEqual([
      { type: "routed", to: "a" },
      { type: "routed", to: "b" },
      { type: "migrated", from: "a", to: "b" },
    ]);
    expect(page.last().requests[0]?.migrations).toMatchObject([
      { from: "a", cause: "crashed", recomputedTokens: 7 },
    ]);
  });

  test("a worker that leaves is told as gone, but not when its next life is there", () => {
    const { clock, feed, join } = stage();
    const first = join("a", "1");
    const page = reading(feed);
    join("a", "2");
    first.leave();
    clock.pass(100);
    expect(page.last()).toMatchObject({ workers: [{ id: "a", epoch: "2" }], gone: [] });
    const b = join("b");
    clock.pass(100);
    b.leave();
    clock.pass(100);
    expect(page.last().gone).toEqual(["b"]);
  });

  test("health is shown with its reason", () => {
    const { clock, feed, join } = stage();
    const a = join("a");
    const page = reading(feed);
    a.become("ejected", "its stream was cut");
    clock.pass(100);
    expect(page.last().workers).toMatchObject([{ state: "ejected", reason: "its stream was cut" }]);
  });

  test("what a probe of a worker showed is with it, the worst of its ranks", () => {
    const { clock, feed, join } = stage();
    join("a");
    const page = reading(feed);
    feed.probed("a", "1", 0, { outcome: "passed" });
    feed.probed("a", "1", 1, { outcome: "failed", detail: "no KV event came" });
    feed.probed("unknown", "1", 0, { outcome: "failed" });
    clock.pass(100);
    expect(page.last().workers).toMatchObject([
      { id: "a", probe: { outcome: "failed", detail: "no KV event came" } },
    ]);
    feed.probed("a", "1", 1, { outcome: "passed" });
    clock.pass(100);
    expect(page.last().workers).toMatchObject([{ probe: { outcome: "passed" } }]);
    join("a", "2");
    clock.pass(100);
    expect(page.last().workers[0]!.probe).toBeUndefined();
  });

  test("a page that reads slowly misses messages, never changes", () => {
    const { clock, feed, join } = stage();
    const a = join("a");
    const seen: FeedMessage[] = [];
    let isOpen = true;
    feed.subscribe((message) => {
      if (isOpen) seen.push(message);
      return isOpen;
    });
    isOpen = false;
    a.status({ running: 1 });
    clock.pass(100);
    a.status({ running: 2 });
    clock.pass(300);
    isOpen = true;
    clock.pass(100);
    expect(seen).toHaveLength(2);
    expect(seen[1]?.workers).toMatchObject([{ running: 2 }]);
  });

  test("each second has its rates, and a new page gets their history", () => {
    const { clock, feed, tell } = stage();
    for (let i = 0; i < 3; i++) {
      tell({ type: "queued", requestId: `r${i}` });
      clock.pass(100);
      tell({ type: "tokens", count: 10, requestId: `r${i}` });
      tell({
        type: "finished",
        reason: "stop",
        promptTokens: 100,
        outputTokens: 10,
        cachedTokens: 25,
        requestId: `r${i}`,
      });
    }
    clock.pass(2_000);
    const { rates } = reading(feed).last();
    expect(rates).toHaveLength(2);
    expect(rates[0]).toMatchObject({
      requestsPerSecond: 3,
      outputTokensPerSecond: 30,
      active: 0,
      ttftP50Ms: 100,
      hitRatio: 0.25,
    });
  });

  test("memory is bounded by mostRequests", () => {
    const { clock, feed, tell } = stage(10);
    for (let i = 0; i < 500; i++) tell({ type: "queued", requestId: `r${i}` });
    clock.pass(100);
    expect(reading(feed).last().requests).toHaveLength(10);
  });

  test("what the planner wants is sent once, and to each new page", () => {
    const { clock, feed } = stage();
    const page = reading(feed);
    feed.planned([{ pool: "decode", target: 4, current: 2 }]);
    clock.pass(100);
    expect(page.last().plan).toHaveLength(1);
    clock.pass(100);
    expect(page.last().plan).toBeUndefined();
    expect(reading(feed).last().plan).toHaveLength(1);
  });

  test("closing stops it", () => {
    const { clock, feed, join } = stage();
    const a = join("a");
    const page = reading(feed);
    feed.close();
    a.status({ running: 9 });
    clock.pass(1_000);
    expect(page.messages).toHaveLength(1);
    expect(feed.readers).toBe(0);
  });
});

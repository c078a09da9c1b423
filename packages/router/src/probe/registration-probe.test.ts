import {
  createHealthGroup,
  createRequest,
  createVirtualClock,
  hashSchemeXxh3,
  nameBlocks,
  StatorError,
  type Engine,
  type EngineStatus,
  type GenerateRequest,
  type KvEvent,
  type Logger,
  type ModelCard,
  type RequestEvent,
  type VirtualClock,
  type WorkerHandle,
} from "@stator/core";
import { afterEach, expect, test, vi } from "vitest";
import { createPool, type ClosablePool, type PoolOptions } from "../pool/create-pool.ts";
import type { ProbeRecord } from "../selector/selector.ts";

interface EngineTraits {
  /** Of the names in its events. */
  readonly eventBlockTokens?: number;
  readonly hasFeed?: boolean;
  readonly hasSnapshot?: boolean;
  /** Batches of events that get lost first. */
  readonly lost?: number;
  readonly refuse?: (request: GenerateRequest, count: number) => Error | undefined;
  readonly hangs?: boolean;
}

interface Served {
  readonly handle: WorkerHandle;
  readonly requests: GenerateRequest[];
}

const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 0 };

/** An engine that answers at once and tells the blocks of each prompt. */
function serve(
  id: string,
  clock: VirtualClock,
  traits: EngineTraits = {},
  over: { card?: Partial<ModelCard>; role?: "both" | "decode"; ranks?: number } = {},
): Served {
  const { eventBlockTokens = 16, hasFeed = true, hasSnapshot = true, refuse, hangs } = traits;
  let lost = traits.lost ?? 0;
  let sequence = 0n;
  const listeners = new Set<(status: EngineStatus) => void>();
  const requests: GenerateRequest[] = [];
  const card: ModelCard = {
    model: "m",
    tokenizer: { format: "hf-json", digest: "t" },
    specialIds: { eos: [20] },
    contextTokens: 1_024,
    blockTokens: 16,
    hashScheme: hashSchemeXxh3,
    weightsDigest: "w",
    kvLayoutDigest: "k",
    kvGroups: [{ kind: "full_attention" }],
    connectors: [],
    resume: { rng: true, penalties: true, grammar: true, logprobs: true },
    batchInvariant: true,
    tasks: ["completion"],
    adapters: [],
    contract: { min: 1, max: 1 },
    ...over.card,
  };
  const batch = (events: KvEvent[], isSnapshot: boolean) => ({
    worker: id,
    epoch: "1",
    sequence,
    events,
    isSnapshot,
  });
  const engine: Engine = {
    card,
    async *generate(request) {
      requests.push(request);
      if (hangs === true) await new Promise(() => {});
      await new Promise<void>((resolve) => clock.schedule(5, resolve));
      const refusal = refuse?.(request, requests.length);
      if (refusal !== undefined) throw refusal;
      const rank = request.hints?.pin?.rank ?? 0;
      if (hasFeed && lost-- <= 0) {
        sequence++;
        const sequenceHashes = nameBlocks(request.promptIds, { blockTokens: eventBlockTokens });
        const stored: KvEvent = { type: "stored", sequenceHashes, tier: "device", rank };
        for (const listener of listeners)
          listener({ step: 1, stepAgeMs: 0, stepExpectedMs: 0, load, events: [batch([stored], false)] });
      }
      yield { firstIndex: 0, ids: [7], finish: { reason: "length" } };
    },
    ...(hasFeed || hasSnapshot
      ? {
          onStatus(listener: (status: EngineStatus) => void) {
            listeners.add(listener);
            return () => listeners.delete(listener);
          },
        }
      : {}),
    ...(hasSnapshot ? { snapshot: () => batch([], true) } : {}),
  };
  const handle: WorkerHandle = {
    worker: {
      id,
      epoch: "1",
      role: over.role ?? "both",
      model: "m",
      capacity: { requests: 4, kvBlocks: 100, queue: 4 },
      ranks: over.ranks ?? 1,
      labels: {},
    },
    card,
    engine,
    health: createHealthGroup({ clock }).worker({ worker: id, epoch: "1" }),
  };
  return { handle, requests };
}

afterEach(() => vi.restoreAllMocks());

interface Rig {
  readonly pool: ClosablePool;
  readonly errors: unknown[];
  probe(worker?: string, rank?: number): ProbeRecord | undefined;
}

function pooled(clock: VirtualClock, served: readonly Served[], options: Partial<PoolOptions> = {}): Rig {
  const errors: unknown[] = [];
  const quiet = (): void => {};
  const logger: Logger = {
    debug: quiet,
    info: quiet,
    warn: quiet,
    error: (message, fields) => errors.push({ message, ...fields }),
    child: () => logger,
  } as Logger;
  const pool = createPool({
    clock,
    logger,
    workers: { current: () => served.map(({ handle }) => handle), onChange: () => () => undefined },
    ...options,
  });
  return {
    pool,
    errors,
    probe: (worker = "a", rank = 0) =>
      pool.loads().find((target) => target.worker === worker && target.rank === rank)?.probe,
  };
}

test("a worker whose blocks come back is proven by one short prompt that nothing else hears of", async () => {
  const clock = createVirtualClock();
  const a = serve("a", clock);
  const records: string[] = [];
  const { pool, probe } = pooled(clock, [a], { onProbe: (_target, { outcome }) => records.push(outcome) });
  expect(probe()).toEqual({ outcome: "waiting", attempts: 0 });
  await clock.pass(2_000);
  expect(probe()).toEqual({ outcome: "passed", attempts: 1 });
  expect(records).toEqual(["waiting", "passed"]);
  const [request, ...more] = a.requests;
  expect(more).toEqual([]);
  expect(request).toMatchObject({ limits: { maxTokens: 1 }, priority: -100 });
  expect(request!.id).toMatch(/^stator-probe-a/);
  expect(request!.promptIds).toHaveLength(33);
  expect(request!.promptIds).not.toContain(20);
  expect(pool.counts).toEqual({ workers: 1, booked: 0, waiting: 0 });
  expect(pool.loads()[0]).toMatchObject({ activeRequests: 0, prediction: { requests: 0 } });
});

test("a worker that names other blocks is told of, with what to compare, and routed by own decisions", async () => {
  const clock = createVirtualClock();
  const { pool, errors, probe } = pooled(clock, [serve("a", clock, { eventBlockTokens: 32 })]);
  await clock.pass(2_000);
  expect(probe()).toMatchObject({ outcome: "waiting" });
  await clock.pass(30_000);
  expect(probe()).toMatchObject({ outcome: "failed", attempts: 3 });
  expect(probe()!.detail).toMatch(/none named these blocks: compare the engine's block size with the 16/);
  expect(pool.loads()[0]!.hasEvents).toBe(false);
  expect(errors).toHaveLength(1);
});

test("a feed that brings nothing is told of, and a prompt that comes back later ends it", async () => {
  const clock = createVirtualClock();
  const { pool, probe } = pooled(clock, [serve("a", clock, { lost: 3 })]);
  await clock.pass(40_000);
  expect(probe()).toMatchObject({ outcome: "failed" });
  expect(probe()!.detail).toMatch(/No KV event came within 3 s/);
  const run = async (seed: number): Promise<void> => {
    const promptIds = Uint32Array.from({ length: 64 }, (_, i) => i * 31 + seed);
    const request = createRequest({ id: `r${seed}`, model: "m", promptIds, limits: { maxTokens: 1 } });
    for await (const _ of pool.generate(request, { signal: new AbortController().signal }));
  };
  await clock.run(run(1));
  await clock.pass(4_000);
  await clock.run(run(2));
  expect(probe()).toMatchObject({ outcome: "passed", detail: "by a prompt" });
  expect(pool.loads()[0]!.hasEvents).toBe(true);
});

test("traffic that proves a worker first spares it the prompt", async () => {
  // All wait as long before they start, so that they start in order.
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  const clock = createVirtualClock();
  const a = serve("a", clock);
  const slow = Array.from({ length: 4 }, (_, i) => serve(`slow${i}`, clock, { hangs: true }));
  const { pool, probe } = pooled(clock, [...slow, a]);
  // Four at once are all that a pool probes: the fifth waits until one of them is given up.
  const pin = { pin: { worker: "a" } };
  const run = async (seed: number): Promise<void> => {
    const promptIds = new Uint32Array(64).fill(seed);
    for await (const _ of pool.generate(
      createRequest({ id: `r${seed}`, model: "m", promptIds, hints: pin, limits: { maxTokens: 1 } }),
      { signal: new AbortController().signal },
    ));
  };
  await clock.run(run(1));
  await clock.pass(4_000);
  expect(a.requests).toHaveLength(1);
  await clock.run(run(2));
  await clock.pass(120_000);
  expect(probe("a")).toMatchObject({ outcome: "passed", detail: "by a prompt" });
  expect(a.requests.map(({ id }) => id)).toEqual(["r1", "r2"]);
  expect(probe("slow0")).toMatchObject({ outcome: "unproven", attempts: 8 });
  expect(probe("slow0")!.detail).toMatch(/no answer within 10 s/);
});

test("events that get lost once and a server that takes no priority fail no probe", async () => {
  const clock = createVirtualClock();
  const noPriority = new StatorError({ code: "X", kind: "invalid", message: "no priority scheduling" });
  const busy = new StatorError({ code: "X", kind: "overloaded", message: "full" });
  const { probe } = pooled(clock, [
    serve("a", clock, { lost: 1 }),
    serve("b", clock, { refuse: ({ priority }) => (priority === undefined ? undefined : noPriority) }),
    serve("c", clock, { refuse: (_, count) => (count < 4 ? busy : undefined) }),
  ]);
  await clock.pass(60_000);
  expect(probe("a")).toEqual({ outcome: "passed", attempts: 2 });
  expect(probe("b")).toEqual({ outcome: "passed", attempts: 2 });
  expect(probe("c")).toEqual({ outcome: "passed", attempts: 4 });
});

test("each rank is probed by itself", async () => {
  const clock = createVirtualClock();
  const a = serve("a", clock, {}, { ranks: 3 });
  const { probe } = pooled(clock, [a]);
  await clock.pass(5_000);
  expect([0, 1, 2].map((rank) => probe("a", rank)?.outcome)).toEqual(["passed", "passed", "passed"]);
  expect(a.requests.map(({ hints }) => hints?.pin?.rank)).toEqual([0, 1, 2]);
});

test("where there is nothing to prove it says why, and sends nothing", async () => {
  const clock = createVirtualClock();
  const connectors = [{ name: "mooncake", style: "rendezvous" as const }];
  const served = [
    serve("mute", clock, { hasFeed: false, hasSnapshot: false }),
    serve("tiny", clock, {}, { card: { contextTokens: 33 } }),
    serve("half", clock, {}, { card: { connectors }, role: "decode" }),
  ];
  const { errors, probe } = pooled(clock, served);
  await clock.pass(20_000);
  expect(probe("mute")).toMatchObject({
    outcome: "skipped",
    detail: expect.stringMatching(/tells no KV events/) as string,
  });
  expect(probe("tiny")!.detail).toMatch(/does not fit/);
  expect(probe("half")!.detail).toMatch(/half of a pair/);
  expect(served.flatMap(({ requests }) => requests)).toEqual([]);
  expect(errors).toEqual([]);
  const off = serve("a", clock);
  const quiet = pooled(clock, [off], { probe: "off" });
  await clock.pass(20_000);
  expect([quiet.probe(), off.requests]).toEqual([{ outcome: "none", attempts: 0 }, []]);
});

test("a pool that closes takes its probes along", async () => {
  const clock = createVirtualClock();
  const a = serve("a", clock, { hangs: true });
  const told: string[] = [];
  const { pool } = pooled(clock, [a], { onProbe: (_, { outcome }) => told.push(outcome) });
  await clock.pass(1_500);
  expect(a.requests).toHaveLength(1);
  await pool.close();
  await clock.pass(60_000);
  expect(a.requests).toHaveLength(1);
  expect(told).toEqual(["waiting"]);
});

test("a worker serves while its probe runs", async () => {
  const clock = createVirtualClock();
  const { pool } = pooled(clock, [serve("a", clock, { hasFeed: true, lost: 99 })]);
  await clock.pass(1_500);
  const events: RequestEvent[] = [];
  let tokens = 0;
  await clock.run(
    (async () => {
      const request = createRequest({ id: "r", model: "m", promptIds: new Uint32Array(40) });
      for await (const batch of pool.generate(request, {
        signal: new AbortController().signal,
        onEvent: (event) => events.push(event),
      }))
        tokens += batch.ids.length;
    })(),
  );
  expect(tokens).toBe(1);
  expect(events.filter(({ type }) => type === "routed")).toHaveLength(1);
});

import { setMaxListeners } from "node:events";
import {
  createHealthGroup,
  createRequest,
  createVirtualClock,
  hashSchemeXxh3,
  StatorError,
  type Engine,
  type EngineStatus,
  type GenerateRequest,
  type HealthGroup,
  type ModelCard,
  type RequestEvent,
  type TokenBatch,
  type VirtualClock,
  type WorkerChange,
  type WorkerHandle,
} from "@stator/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPool, type ClosablePool, type PoolOptions } from "./create-pool.ts";

const cardOf = (over: Partial<ModelCard> = {}): ModelCard => ({
  model: "m",
  tokenizer: { format: "hf-json", digest: "t" },
  specialIds: { eos: [2] },
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
  ...over,
});

type Behaviour = (
  request: GenerateRequest,
  signal: AbortSignal,
  clock: VirtualClock,
) => AsyncGenerator<TokenBatch>;

const answering: Behaviour = async function* (request, signal, clock) {
  for (let i = 0; i < request.limits.maxTokens; i++) {
    await new Promise<void>((resolve) => clock.schedule(10, resolve));
    if (signal.aborted) throw new StatorError({ code: "X", kind: "cancelled", message: "aborted" });
    yield {
      firstIndex: i,
      ids: [i],
      ...(i + 1 === request.limits.maxTokens ? { finish: { reason: "length" } } : {}),
    };
  }
};
const hanging: Behaviour = async function* () {
  await new Promise(() => {});
};
const failing = (error: Error): Behaviour =>
  async function* () {
    throw error;
  };

interface Rig {
  readonly clock: VirtualClock;
  readonly group: HealthGroup;
  readonly pool: ClosablePool;
  readonly handles: Map<string, WorkerHandle>;
  add(
    id: string,
    behaviour?: Behaviour,
    over?: { card?: Partial<ModelCard>; requests?: number; queue?: number; epoch?: string },
  ): WorkerHandle;
  remove(id: string): void;
  run(over?: Partial<GenerateRequest>, signal?: AbortSignal): Promise<number | string>;
  events: RequestEvent[];
}

function rig(options: Partial<PoolOptions> = {}): Rig {
  const clock = createVirtualClock();
  const group = createHealthGroup({ clock, random: () => 0.5 });
  const handles = new Map<string, WorkerHandle>();
  const listeners = new Set<(change: WorkerChange) => void>();
  const events: RequestEvent[] = [];
  const pool = createPool({
    clock,
    workers: {
      current: () => [...handles.values()],
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    ...options,
  });
  let requests = 0;
  return {
    clock,
    group,
    pool,
    handles,
    events,
    add(id, behaviour = answering, over = {}) {
      const card = cardOf(over.card);
      const epoch = over.epoch ?? "1";
      const engine: Engine = { card, generate: (request, { signal }) => behaviour(request, signal, clock) };
      const handle: WorkerHandle = {
        worker: {
          id,
          epoch,
          role: "both",
          model: "m",
          capacity: { requests: over.requests ?? 4, kvBlocks: 100, queue: over.queue ?? 0 },
          ranks: 1,
          labels: {},
        },
        card,
        engine,
        health: group.worker({ worker: id, epoch }),
      };
      handles.set(id, handle);
      for (const listener of listeners) listener({ type: "joined", handle });
      return handle;
    },
    remove(id) {
      const handle = handles.get(id)!;
      handles.delete(id);
      for (const listener of listeners) listener({ type: "left", handle });
    },
    async run(over = {}, signal = new AbortController().signal) {
      const request = createRequest({
        id: `r${requests++}`,
        model: "m",
        promptIds: new Uint32Array(40),
        limits: { maxTokens: 5 },
        ...over,
      });
      let tokens = 0;
      try {
        for await (const batch of pool.generate(request, { signal, onEvent: (event) => events.push(event) }))
          tokens += batch.ids.length;
        return tokens;
      } catch (error) {
        return StatorError.from(error).code;
      }
    },
  };
}
const nothing = { booked: 0, waiting: 0 };

describe("a pool without room", () => {
  it("waits for the first worker, within the bound", async () => {
    const { clock, add, run, pool } = rig();
    const early = run();
    clock.schedule(1_000, () => add("a"));
    expect(await clock.run(early)).toBe(5);
    expect(pool.counts).toMatchObject(nothing);
  });

  it("says no_workers when none comes, and overloaded when all stay busy", async () => {
    const { clock, add, run, pool, events } = rig();
    expect(await clock.run(run())).toBe("ROUTER_NO_WORKERS");
    expect(clock.now()).toBe(8_000);
    add("a", hanging, { requests: 1 });
    const first = run();
    expect(await clock.run(run())).toBe("ROUTER_OVERLOADED");
    expect(pool.counts).toMatchObject({ booked: 1, waiting: 0 });
    expect(events.filter(({ type }) => type === "queued")).toHaveLength(2);
    await pool.close();
    void first;
  });

  it("never puts more on a worker than its limit, and serves the line in order of priority", async () => {
    const { clock, add, run, pool } = rig();
    add("a", answering, { requests: 2, queue: 1 });
    const order: string[] = [];
    const runs = [0, 0, 0, 0, 5].map((priority, i) =>
      run({ priority }).then((tokens) => order.push(`${i}:${tokens}`)),
    );
    await clock.pass(1);
    expect(pool.counts).toMatchObject({ booked: 3, waiting: 2 });
    await clock.run(Promise.all(runs));
    expect(order.indexOf("4:5")).toBeLessThan(order.indexOf("3:5"));
    expect(pool.counts).toMatchObject(nothing);
  });

  it("refuses at once when the line is full", async () => {
    const { clock, add, run, pool } = rig({ queue: 1 });
    add("a", answering, { requests: 1 });
    const runs = [run(), run()];
    await clock.pass(1);
    expect(await run()).toBe("ROUTER_OVERLOADED");
    expect(clock.now()).toBe(1);
    expect(await clock.run(Promise.all(runs))).toEqual([5, 5]);
    expect(pool.counts).toMatchObject(nothing);
  });

  it("lets in a request that lost its worker though the line is full, and serves it first", async () => {
    const { clock, add, run, pool } = rig({ queue: 1 });
    add("a", answering, { requests: 1 });
    const order: string[] = [];
    const noted = (name: string, end: Promise<number | string>): Promise<unknown> =>
      end.then((tokens) => order.push(`${name}:${tokens}`));
    const runs = [noted("first", run()), noted("waiting", run())];
    await clock.pass(1);
    runs.push(noted("moved", run({ attempt: 1 })));
    expect(await run()).toBe("ROUTER_OVERLOADED");
    expect(pool.counts).toMatchObject({ booked: 1, waiting: 2 });
    await clock.run(Promise.all(runs));
    expect(order).toEqual(["first:5", "moved:5", "waiting:5"]);
    expect(pool.counts).toMatchObject(nothing);
  });

  it("lets a request that lost its worker wait for one that may come back, as long as its own deadline allows", async () => {
    const { clock, add, run, pool } = rig();
    const { health } = add("a");
    health.observe({ type: "connected" });
    await clock.pass(7_500);
    expect(health.condition).toBe("silent");
    const [moved, fresh] = [run({ attempt: 1 }), run()];
    expect(await clock.run(fresh)).toBe("ROUTER_NO_WORKERS");
    await clock.pass(20_000);
    expect(pool.counts).toMatchObject({ booked: 0, waiting: 1 });
    health.observe({ type: "connected" });
    expect(await clock.run(moved)).toBe(5);
  });

  it("tells a request that lost its worker when none may come back", async () => {
    const { clock, add, remove, run, pool } = rig();
    add("a");
    add("b").health.observe({ type: "unfit", reason: "device lost" });
    const shunned = run({ attempt: 1, avoid: [{ worker: "a", epoch: "1" }] });
    expect(await clock.run(shunned)).toBe("ROUTER_NO_WORKERS");
    expect(clock.now()).toBe(8_000);
    remove("a");
    expect(await clock.run(run({ attempt: 1 }))).toBe("ROUTER_NO_WORKERS");
    expect(pool.counts).toMatchObject(nothing);
  });

  it("serves those behind when all in front must not go where there is room", async () => {
    const { clock, add, run, pool } = rig();
    add("full", hanging, { requests: 1 });
    void run();
    await clock.pass(1);
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const avoid = [{ worker: "a", epoch: "1" }];
    const front = Array.from({ length: 40 }, () => run({ attempt: 1, avoid }, controller.signal));
    const behind = Array.from({ length: 3 }, () => run());
    await clock.pass(1);
    expect(pool.counts.waiting).toBe(43);
    add("a");
    expect(await clock.run(Promise.all(behind))).toEqual([5, 5, 5]);
    expect(clock.now()).toBeLessThan(500);
    controller.abort();
    expect(new Set(await clock.run(Promise.all(front)))).toEqual(new Set(["CORE_CANCELLED"]));
  });

  it("recovers within a beat of the drain: no busy mark stays", async () => {
    const { clock, add, run } = rig({ queue: 0 });
    add("a", answering, { requests: 2 });
    const storm = Array.from({ length: 20 }, () => run());
    const ends = await clock.run(Promise.all(storm));
    expect(ends.filter((end) => end === 5)).toHaveLength(2);
    expect(await clock.run(run())).toBe(5);
  });
});

describe("a worker", () => {
  it("that fails is told to its health and gets no more work until its probe", async () => {
    const { clock, add, run, handles } = rig();
    add("a", failing(new Error("socket hang up")));
    expect(await clock.run(run())).toBe("ROUTER_ATTEMPT_FAILED");
    expect(handles.get("a")!.health.state).toBe("ejected");
    add("b");
    expect(await clock.run(Promise.all([run(), run()]))).toEqual([5, 5]);
  });

  it("half open lets the next one try as soon as its probe has a token, and is open for all once that is done", async () => {
    const { clock, add, run } = rig();
    const { health } = add("a", answering, { requests: 9 });
    health.observe({ type: "cut" });
    await clock.pass(5_100);
    const long = { limits: { maxTokens: 2_000 } };
    const runs = Array.from({ length: 4 }, () => run(long));
    await clock.pass(45);
    expect(health.condition).toBe("probing");
    // One after the other, each takes 20 s: the last would have been refused after 8.
    expect(await clock.run(Promise.all(runs))).toEqual([2_000, 2_000, 2_000, 2_000]);
    expect(health.condition).toBe("ready");
  });

  it("half open takes one probe; its success opens it for all", async () => {
    const { clock, add, run, handles } = rig();
    const { health } = add("a");
    health.observe({ type: "cut" });
    await clock.pass(5_100);
    expect(health.condition).toBe("probing");
    const runs = [run(), run(), run()];
    await clock.pass(15);
    expect(handles.get("a")!.health.isSelectable).toBe(false);
    expect(await clock.run(Promise.all(runs))).toEqual([5, 5, 5]);
    expect(health.condition).toBe("ready");
  });

  it.each([
    ["invalid", "ENGINES_CONTEXT_EXCEEDED"],
    ["overloaded", "ROUTER_ATTEMPT_FAILED"],
    ["deadline", "X"],
  ] as const)("is not blamed for an error of kind %s", async (kind, code) => {
    const { clock, add, run, handles } = rig();
    add("a", failing(new StatorError({ code, kind, message: "x" })));
    await clock.run(run());
    expect(handles.get("a")!.health.counts).toEqual({ ejections: 0, deaths: 0, protocolFaults: 0 });
  });

  it("that hangs is left when its health says stuck, even if its engine never answers", async () => {
    const { clock, add, run, pool } = rig();
    const { health } = add("a", hanging);
    const end = run();
    await clock.pass(10);
    health.observe({ type: "stuck" });
    expect(await clock.run(end)).toBe("ROUTER_ATTEMPT_FAILED");
    expect(pool.counts).toMatchObject(nothing);
  });

  it("that leaves while a request waits on it ends that request by the abort of its caller", async () => {
    const { clock, add, remove, run, pool } = rig();
    add("a", hanging);
    const controller = new AbortController();
    const end = run({}, controller.signal);
    await clock.pass(10);
    remove("a");
    controller.abort();
    expect(await clock.run(end)).toBe("CORE_CANCELLED");
    expect(pool.counts).toMatchObject({ ...nothing, workers: 0 });
  });

  it("with other blocks than the rest is refused, not silently missed", async () => {
    const { clock, add, run, pool } = rig();
    add("a");
    add("b", answering, { card: { blockTokens: 32 } });
    expect(pool.counts.workers).toBe(1);
    expect(await clock.run(run())).toBe(5);
  });

  it("of other weights, a small context or no adapter does not get what it cannot serve", async () => {
    const { clock, add, run, events } = rig();
    add("old", answering, { card: { weightsDigest: "v" } });
    add("small", answering, { card: { contextTokens: 30 } });
    add("lora", answering, { card: { adapters: ["x"] } });
    expect(await clock.run(run({ hints: { weightsDigest: "w" } }))).toBe(5);
    expect(await clock.run(run({ adapter: "x" }))).toBe(5);
    const to = events.flatMap((event) => (event.type === "routed" ? [event.worker] : []));
    expect(to).toEqual(["lora", "lora"]);
  });

  it("that could not hold the whole answer gets no part of it, also when the stream moves", async () => {
    const { clock, add, run, events, pool } = rig();
    add("small", answering, { card: { contextTokens: 64 } });
    add("large");
    expect(pool.card?.contextTokens).toBe(1_024);
    const outputIds = Uint32Array.of(1, 2, 3);
    for (const maxTokens of [24, 25, 5_000]) {
      const signal = new AbortController();
      const end = run({ limits: { maxTokens }, attempt: 1, outputIds, avoid: [] }, signal.signal);
      await clock.pass(1);
      signal.abort();
      await clock.run(end);
    }
    const to = events.flatMap((event) => (event.type === "routed" ? [event.worker] : []));
    expect(to).toEqual(["small", "large", "large"]);
  });
});

describe("the card", () => {
  it("is live: undefined until a worker is there", () => {
    const { add, remove, pool } = rig();
    expect(pool.card).toBeUndefined();
    add("a");
    expect(pool.card?.model).toBe("m");
    remove("a");
    expect(pool.card).toBeUndefined();
  });

  it("artefacts come from whoever has them", async () => {
    const { add, pool } = rig();
    const handle = add("a");
    handle.engine.artifact = () => Promise.resolve(Uint8Array.of(1));
    const { signal } = new AbortController();
    expect(await pool.artifact!("t", { signal })).toEqual(Uint8Array.of(1));
    await expect(pool.artifact!("other", { signal })).rejects.toMatchObject({ code: "ROUTER_NO_WORKERS" });
  });
});

describe("plain engines", () => {
  const status = (over: Partial<EngineStatus>): EngineStatus => ({
    step: 1,
    stepAgeMs: 0,
    stepExpectedMs: 0,
    load: { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 10 },
    ...over,
  });

  it("tell their own health, and join again as another life", async () => {
    const clock = createVirtualClock();
    const listeners: ((status: EngineStatus) => void)[] = [];
    const tell = (one: EngineStatus): void => listeners.forEach((listener) => listener(one));
    const engine: Engine = {
      card: cardOf(),
      generate: (request, { signal }) => answering(request, signal, clock),
      onStatus(listener) {
        listeners.push(listener);
        return () => {};
      },
      snapshot: () => ({ worker: "me", epoch: "e0", sequence: 0n, events: [] }),
    };
    const pool = createPool({ workers: [engine], clock });
    const reserve = (): Promise<string> =>
      pool
        .reserve(createRequest({ id: "r", model: "m", promptIds: new Uint32Array(8) }), {
          signal: new AbortController().signal,
          waitMs: 0,
        })
        .then(
          (place) => {
            place.release();
            return place.epoch;
          },
          (error: StatorError) => error.code,
        );
    expect(await reserve()).toBe("0");
    tell(status({ unfit: "device lost" }));
    expect(await reserve()).toBe("ROUTER_NO_WORKERS");
    tell(
      status({
        events: [{ worker: "me", epoch: "e1", sequence: 1n, events: [{ type: "cleared", rank: 0 }] }],
      }),
    );
    expect(await reserve()).toBe("e1");
    expect(pool.counts).toMatchObject(nothing);
  });
});

it("frees every booking on every path: random ends leave nothing behind", async () => {
  const ends = fc.constantFrom("finish", "throw", "truncate", "abandon", "abort", "refuse", "release");
  await fc.assert(
    fc.asyncProperty(
      fc.array(ends, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 3 }),
      async (plan, workers) => {
        const { clock, pool, add } = rig();
        const behaviour: Behaviour = async function* (request, signal) {
          const end = plan[Number(request.id)]!;
          yield { firstIndex: 0, ids: [1] };
          await new Promise<void>((resolve) => clock.schedule(5, resolve));
          if (signal.aborted || end === "throw") throw new Error("gone");
          if (end === "refuse") throw new StatorError({ code: "X", kind: "overloaded", message: "full" });
          if (end !== "truncate") yield { firstIndex: 1, ids: [2], finish: { reason: "stop" } };
        };
        for (let i = 0; i < workers; i++) add(`w${i}`, behaviour);
        const one = async (end: string, i: number): Promise<void> => {
          const controller = new AbortController();
          const request = createRequest({ id: String(i), model: "m", promptIds: new Uint32Array(20) });
          if (end === "release") {
            const place = await pool.reserve(request, { signal: controller.signal });
            place.release();
            place.release();
            return;
          }
          if (end === "abort") clock.schedule(2, () => controller.abort());
          for await (const _batch of pool.generate(request, { signal: controller.signal }))
            if (end === "abandon") break;
        };
        await clock.run(Promise.allSettled(plan.map(one)));
        expect(pool.counts).toMatchObject(nothing);
        await pool.close();
      },
    ),
    { numRuns: 30 },
  );
});

import { setMaxListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import {
  HelloSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  type SessionRequest,
} from "@stator/contracts";
import {
  createHealthGroup,
  createRequest,
  createVirtualClock,
  defineEngine,
  silentLogger,
  StatorError,
  systemClock,
  wrapEngine,
  type Clock,
  type Engine,
  type EngineFunction,
  type EngineStatus,
  type Handoff,
  type HandoffOutcome,
  type GenerateRequest,
  type KvEventBatch,
  type TokenBatch,
  type WorkerCapacity,
} from "@stator/core";
import { describe, expect, test } from "vitest";
import { openH2Link } from "../wire/h2-link.ts";
import { startRpcServer } from "../wire/rpc-server.ts";
import { sessionRoutes } from "../wire/session-routes.ts";
import { openSession, type CallerSession } from "./caller/caller-session.ts";
import { createEngineHost, type EngineHost } from "./worker/engine-host.ts";
import { routeSession } from "./worker/route-session.ts";
import type { SessionLink, SessionPort } from "./session-port.ts";

const tokenizer = { json: "x".repeat(300_000), digest: "d", specialIds: { eos: [0] } };

function engineOf(run: EngineFunction): Engine {
  return defineEngine({ model: "m", contextTokens: 1_000_000, tokenizer }, run);
}

/** Yields the prompt's ids, one a loop turn. */
const echo = engineOf(async function* (request) {
  for (const id of request.promptIds.subarray(request.outputIds.length)) {
    await new Promise((resolve) => setImmediate(resolve));
    yield { ids: [id] };
  }
});

function hostOf(
  engine: Engine,
  capacity: Partial<WorkerCapacity> = {},
  clock: Clock = systemClock,
): EngineHost {
  const { deadlines } = createHealthGroup();
  return createEngineHost({
    engine,
    card: engine.card!,
    worker: {
      id: "w",
      epoch: "e",
      role: "both",
      model: "m",
      capacity: { requests: 2000, queue: 0, kvBlocks: 0, ...capacity },
      ranks: 1,
      labels: {},
    },
    clock,
    deadlines,
    logger: silentLogger,
  });
}

interface Pair extends AsyncDisposable {
  readonly host: EngineHost;
  readonly link: SessionLink;
  readonly session: CallerSession;
  readonly statuses: EngineStatus[];
  /** Resolves with the end's error. */
  readonly ended: Promise<unknown>;
  untilStatus(condition: (status: EngineStatus) => boolean): Promise<EngineStatus>;
}

async function pair(
  over: "memory" | "h2",
  host: EngineHost,
  eventsAfter = 0n,
  port: SessionPort = host,
): Promise<Pair> {
  const health = createHealthGroup();
  const statuses: EngineStatus[] = [];
  const waiting = new Set<() => void>();
  let link: SessionLink;
  let server: { close(): Promise<void> } | undefined;
  if (over === "memory") {
    link = {
      session: (requests, signal) => routeSession(requests, signal, () => port),
      fetch: (request, signal) => port.fetch(request, signal),
      close() {},
    };
  } else {
    const started = await startRpcServer({
      host: "127.0.0.1",
      port: 0,
      routes: (router) => sessionRoutes(router, () => host),
      silentConnectionMs: 30_000,
    });
    server = started;
    link = openH2Link({ authority: `http://127.0.0.1:${started.port}`, clock: systemClock, connectMs: 1000 });
  }
  let end: (error: unknown) => void = () => {};
  const ended = new Promise<unknown>((resolve) => (end = resolve));
  let welcome: () => void = () => {};
  const welcomed = new Promise<void>((resolve) => (welcome = resolve));
  const session = openSession({
    link,
    worker: "w",
    epoch: "e",
    session: `s${Math.random()}`,
    eventsAfter,
    health: health.worker({ worker: "w", epoch: "e" }),
    clock: systemClock,
    deadlines: health.deadlines,
    onWelcome: () => welcome(),
    onStatus(status) {
      statuses.push(status);
      for (const check of waiting) check();
    },
    onEnd: (error) => end(error),
  });
  await Promise.race([welcomed, ended]);
  return {
    host,
    link,
    session,
    statuses,
    ended,
    untilStatus: (condition) =>
      new Promise((resolve) => {
        const check = (): void => {
          const found = statuses.find(condition);
          if (found === undefined) return;
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
        check();
      }),
    async [Symbol.asyncDispose]() {
      session.close();
      host.close("orderly");
      link.close();
      health.close();
      await server?.close();
    },
  };
}

const never = new AbortController().signal;
// Thousands of requests of one test share it.
setMaxListeners(0, never);

function requestOf(promptIds: ArrayLike<number>, more: Partial<GenerateRequest> = {}): GenerateRequest {
  return createRequest({
    id: "r",
    model: "m",
    promptIds: Uint32Array.from(promptIds),
    limits: { maxTokens: 500_000 },
    ...more,
  });
}

async function collect(batches: AsyncIterable<TokenBatch>): Promise<TokenBatch & { ids: number[] }> {
  const ids: number[] = [];
  let all: TokenBatch = { firstIndex: 0, ids: [] };
  for await (const batch of batches) {
    expect(batch.firstIndex).toBe(ids.length);
    ids.push(...batch.ids);
    all = { ...all, ...batch, logprobs: [...(all.logprobs ?? []), ...(batch.logprobs ?? [])] };
  }
  return { ...all, ids };
}

async function errorOf(batches: AsyncIterable<TokenBatch>): Promise<StatorError> {
  try {
    await collect(batches);
  } catch (error) {
    if (StatorError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("It ended well.");
}

describe.each(["memory", "h2"] as const)("over %s", (over) => {
  test("thousands of requests share one session, and each gets its own tokens in order", async () => {
    await using ends = await pair(over, hostOf(echo));
    const prompts = Array.from({ length: 2000 }, (_, i) =>
      Array.from({ length: 1 + (i % 7) }, (_, k) => 1 + i * 10 + k),
    );
    const answers = await Promise.all(
      prompts.map((ids) => collect(ends.session.generate(requestOf(ids), never))),
    );
    answers.forEach(({ ids, finish }, i) => {
      expect(ids).toEqual(prompts[i]);
      expect(finish).toEqual({ reason: "stop" });
    });
    expect(ends.host.active).toBe(0);
  });

  test("a prompt of 200,000 tokens, and as many tokens in one batch, pass in pieces", async () => {
    const whole = engineOf(async function* (request) {
      await Promise.resolve();
      yield { ids: request.promptIds, cachedTokens: 3 };
    });
    await using ends = await pair(over, hostOf(whole));
    const prompt = Uint32Array.from({ length: 200_000 }, (_, i) => i + 1);
    const answer = await collect(ends.session.generate(requestOf(prompt), never));
    expect(Buffer.compare(Buffer.from(Uint32Array.from(answer.ids).buffer), Buffer.from(prompt.buffer))).toBe(
      0,
    );
    expect(answer.cachedTokens).toBe(3);
  });

  test("a detail too large for a frame comes over the bulk service, in its place among the tokens", async () => {
    const opaque = new Uint8Array(3_000_000).fill(9);
    const inner = engineOf(async function* () {
      await Promise.resolve();
      yield { ids: [1] };
    });
    const engine = wrapEngine(inner, {
      async *generate() {
        yield { firstIndex: 0, ids: [1] };
        yield {
          firstIndex: 1,
          ids: [2],
          handoff: {
            connector: "c",
            style: "sequential",
            opaque,
            heldTokens: 1,
            firstIds: [],
            firstEmittedBy: "nobody",
            compatibilityDigest: "k",
          },
        };
        yield { firstIndex: 2, ids: [3], finish: { reason: "length" } };
      },
    });
    await using ends = await pair(over, hostOf(engine));
    const answer = await collect(ends.session.generate(requestOf([1]), never));
    expect(answer.ids).toEqual([1, 2, 3]);
    expect(Buffer.compare(answer.handoff!.opaque, opaque)).toBe(0);
  });

  test("artefacts come in pieces; an unknown one is not found", async () => {
    await using ends = await pair(over, hostOf(echo));
    const what = (digest: string) => ({ worker: "w", what: { case: "artifact", value: digest } }) as never;
    let bytes = 0;
    for await (const { data } of ends.link.fetch(what("d"), never)) bytes += data.length;
    expect(bytes).toBe(300_000);
    await expect(ends.link.fetch(what("x"), never)[Symbol.asyncIterator]().next()).rejects.toThrow(
      "no artefact x",
    );
  });

  test("the engine's own errors keep their kind, code and data", async () => {
    const engine = wrapEngine(echo, {
      async *generate() {
        await Promise.resolve();
        throw new StatorError({ code: "TOO_LONG", kind: "invalid", message: "too long", data: { limit: 5 } });
      },
    });
    await using ends = await pair(over, hostOf(engine));
    expect(await errorOf(ends.session.generate(requestOf([1]), never))).toMatchObject({
      code: "TOO_LONG",
      kind: "invalid",
      data: { limit: 5 },
    });
  });

  test("an engine that ends without a final batch is a failure", async () => {
    const engine = wrapEngine(echo, {
      async *generate() {
        await Promise.resolve();
        yield { firstIndex: 0, ids: [1] };
      },
    });
    await using ends = await pair(over, hostOf(engine));
    expect((await errorOf(ends.session.generate(requestOf([1]), never))).code).toBe(
      "RUNTIME_STREAM_INCOMPLETE",
    );
  });

  test("a consumer that does not read holds up nobody else", async () => {
    await using ends = await pair(over, hostOf(echo));
    const slow = ends.session.generate(requestOf(Array.from({ length: 3000 }, (_, i) => i + 1)), never);
    const iterator = slow[Symbol.asyncIterator]();
    await iterator.next();
    for (let i = 0; i < 20; i++) {
      expect((await collect(ends.session.generate(requestOf([7, 8, 9]), never))).ids).toEqual([7, 8, 9]);
    }
    const rest: number[] = [];
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      rest.push(...next.value.ids);
    expect(rest).toHaveLength(2999);
  });

  test("the first token of a request is through to its reader before the same frame's tokens of others are looked at", async () => {
    const go = new Map<number, () => void>();
    const gated = engineOf(async function* (request) {
      for (const id of request.promptIds) {
        await new Promise<void>((resolve) => go.set(id, resolve));
        yield { ids: [id] };
      }
    });
    await using ends = await pair(over, hostOf(gated));
    const read: number[] = [];
    const follow = async (promptIds: readonly number[]): Promise<void> => {
      for await (const { ids } of ends.session.generate(requestOf(promptIds), never)) {
        // As far as text is from ids.
        for (let i = 0; i < 20; i++) await Promise.resolve();
        read.push(...ids);
      }
    };
    const open = async (...ids: readonly number[]): Promise<void> => {
      await expect.poll(() => ids.every((id) => go.has(id))).toBe(true);
      for (const id of ids) go.get(id)?.();
    };
    const old = follow([1, 2]);
    await open(1);
    const fresh = follow([3]);
    await open(2, 3);
    await Promise.all([old, fresh]);
    expect(read).toEqual([1, 3, 2]);
  });

  test("beyond its capacity a worker says busy, while draining it says so, and what runs goes on", async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const engine = engineOf(async function* () {
      await gate;
      yield { ids: [5] };
    });
    await using ends = await pair(over, hostOf(engine, { requests: 1, queue: 1 }));
    const running = [1, 2].map(() => collect(ends.session.generate(requestOf([1]), never)));
    const busy = await errorOf(ends.session.generate(requestOf([1]), never));
    expect(busy).toMatchObject({ code: "RUNTIME_WORKER_BUSY", kind: "overloaded" });
    const drained = ends.host.drain();
    const draining = await errorOf(ends.session.generate(requestOf([1]), never));
    expect(draining).toMatchObject({ code: "RUNTIME_WORKER_DRAINING", data: { observation: "draining" } });
    expect((await ends.untilStatus((status) => status.isDraining === true)).load.running).toBe(1);
    release();
    expect((await Promise.all(running)).map(({ ids }) => ids)).toEqual([[5], [5]]);
    await drained;
  });

  test("KV events arrive in order; who comes late gets what is in the ring, or a snapshot and what follows it", async () => {
    let tell: (status: EngineStatus) => void = () => {};
    const hash = (n: number) => BigUint64Array.of(BigInt(n));
    const stored = (n: number): KvEventBatch => ({
      worker: "?",
      epoch: "?",
      sequence: BigInt(n),
      events: [{ type: "stored", sequenceHashes: hash(n), tier: "device", rank: 0 }],
    });
    const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: 9 };
    const status = (...events: KvEventBatch[]): EngineStatus => ({
      step: 1,
      stepAgeMs: 0,
      stepExpectedMs: 0,
      load,
      events,
    });
    let last = 0;
    const engine = wrapEngine(echo, {
      onStatus(listener) {
        tell = listener;
        return () => {};
      },
      snapshot: () => ({ ...stored(last), isSnapshot: true }),
    });
    const host = hostOf(engine);
    for (last = 1; last < 4; last++) tell(status(stored(last)));
    await using ends = await pair(over, host, 1n);
    tell(status(stored(4)));
    last = 4;
    await ends.untilStatus((each) => each.events?.some(({ sequence }) => sequence === 4n) === true);
    const seen = ends.statuses.flatMap((each) => each.events ?? []);
    expect(seen.map(({ sequence }) => sequence)).toEqual([2n, 3n, 4n]);
    expect(seen.every(({ worker, epoch }) => worker === "w" && epoch === "e")).toBe(true);
    ends.session.refreshEvents();
    const { events } = await ends.untilStatus((each) => each.events?.[0]?.isSnapshot === true);
    expect(events).toMatchObject([{ sequence: 4n, isSnapshot: true, worker: "w" }]);
  });

  test("what became of a handoff reaches its source, and what leaked there comes back", async () => {
    const released: [bigint | undefined, HandoffOutcome][] = [];
    let tell: (status: EngineStatus) => void = () => {};
    const engine = wrapEngine(echo, {
      onStatus(listener) {
        tell = listener;
        return () => {};
      },
      releaseHandoff(handoff, outcome) {
        released.push([handoff.room, outcome]);
        const load = { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 7, kvBlocksTotal: 9 };
        tell({ step: 1, stepAgeMs: 0, stepExpectedMs: 0, load: { ...load, kvBlocksLeaked: 3 } });
      },
    });
    await using ends = await pair(over, hostOf(engine));
    const handoff: Handoff = {
      connector: "c",
      style: "sequential",
      opaque: new Uint8Array(0),
      heldTokens: 40,
      firstIds: [],
      firstEmittedBy: "nobody",
      compatibilityDigest: "k",
    };
    ends.session.release({ ...handoff, room: 1n }, "taken");
    ends.session.release({ ...handoff, room: 2n }, "abandoned");
    const { load } = await ends.untilStatus((status) => status.load.kvBlocksLeaked === 3);
    expect(load.kvBlocksUsed).toBe(7);
    await expect
      .poll(() => released)
      .toEqual([
        [1n, "taken"],
        [2n, "abandoned"],
      ]);
  });

  test("a worker that dies: every stream fails as unavailable, and the session ends with an error", async () => {
    const engine = engineOf(async function* (_request, { signal }) {
      for (let id = 1; !signal.aborted; id++) {
        await new Promise((resolve) => setImmediate(resolve));
        yield { ids: [id] };
      }
    });
    await using ends = await pair(over, hostOf(engine));
    const streams = [1, 2].map(() => ends.session.generate(requestOf([1]), never)[Symbol.asyncIterator]());
    await Promise.all(streams.map((stream) => stream.next()));
    ends.host.close("abrupt");
    for (const stream of streams) {
      const error = await errorOf({
        [Symbol.asyncIterator]: () => ({ next: () => stream.next().then(ignoreIndex) }),
      });
      expect(error).toMatchObject({
        kind: "unavailable",
        code: "RUNTIME_SESSION_CUT",
        data: { observation: "cut" },
      });
    }
    expect(await ends.ended).toMatchObject({ code: "RUNTIME_SESSION_CUT" });
  });
});

function ignoreIndex(result: IteratorResult<TokenBatch>): IteratorResult<TokenBatch> {
  return result.done === true ? result : { done: false, value: { firstIndex: 0, ids: [] } };
}

test("a caller whose heartbeats stop: the worker aborts its requests and frees their places", async () => {
  const clock = createVirtualClock();
  const aborted: string[] = [];
  const engine = engineOf(async function* (request, { signal }) {
    yield { ids: [1] };
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    aborted.push(request.id);
  });
  const host = hostOf(engine, {}, clock);
  const { encodeRequest } = await import("../codec/request-codec.ts");
  const part = encodeRequest(requestOf([1, 2]));
  async function* requests(): AsyncGenerator<SessionRequest> {
    yield create(SessionRequestSchema, {
      hello: create(HelloSchema, { session: "s", worker: "w", contract: { min: 1, max: 1 } }),
      starts: [
        { handle: 1, totalBytes: part.length, part },
        { handle: 2, totalBytes: part.length, part },
      ],
    });
    await new Promise(() => {});
  }
  const frames = host.session(requests(), never)[Symbol.asyncIterator]();
  await frames.next();
  await frames.next();
  expect(host.active).toBe(2);
  const end = (async () => {
    while ((await frames.next()).done !== true);
  })().catch((error: unknown) => error);
  await clock.pass(1_000);
  expect(aborted).toEqual([]);
  await clock.pass(500);
  expect(await end).toMatchObject({
    code: "RUNTIME_CALLER_SILENT",
    data: { observation: "callerSilent" },
  });
  expect(aborted).toHaveLength(2);
  expect(host.active).toBe(0);
});

test("a start that a worker has read and does not answer fails as never started", async () => {
  const port: SessionPort = {
    async *session(requests) {
      let heard = 0n;
      for await (const { starts } of requests) {
        heard += 1n;
        if (heard === 1n) yield create(SessionResponseSchema, { welcome: {} });
        if (starts.length > 0) yield create(SessionResponseSchema, { frame: { sequence: 1n, heard } });
      }
    },
    async *fetch() {},
  };
  await using ends = await pair("memory", hostOf(echo), 0n, port);
  const error = await errorOf(ends.session.generate(requestOf([1]), never));
  expect(error).toMatchObject({ code: "RUNTIME_START_LOST", data: { observation: "neverStarted" } });
});

test("a caller of another contract, and one that expects another life, are refused", async () => {
  const host = hostOf(echo);
  const open = async (hello: { contract: { min: number; max: number }; epoch?: string }) => {
    async function* requests(): AsyncGenerator<SessionRequest> {
      yield create(SessionRequestSchema, {
        hello: create(HelloSchema, { session: "s", worker: "w", ...hello }),
      });
      await new Promise(() => {});
    }
    await host.session(requests(), never)[Symbol.asyncIterator]().next();
  };
  await expect(open({ contract: { min: 7, max: 9 } })).rejects.toMatchObject({
    code: "RUNTIME_CONTRACT_MISMATCH",
  });
  await expect(open({ contract: { min: 1, max: 1 }, epoch: "old" })).rejects.toMatchObject({
    code: "RUNTIME_EPOCH_FENCED",
  });
});

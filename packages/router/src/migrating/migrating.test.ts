import {
  createRequest,
  createVirtualClock,
  StatorError,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type ModelCard,
  type RequestEvent,
  type TokenBatch,
} from "@stator/core";
import { describe, expect, it } from "vitest";
import { routerError } from "../errors/router-error.ts";
import { migrating } from "./migrating.ts";
import type { MigratingOptions } from "./options.ts";

const eos = 2;
const card: ModelCard = {
  model: "m",
  tokenizer: { format: "hf-json", digest: "d" },
  specialIds: { eos: [eos] },
  contextTokens: 64,
  blockTokens: 16,
  hashScheme: "xxh3-64/1337",
  weightsDigest: "w",
  kvLayoutDigest: "k",
  kvGroups: [{ kind: "full_attention" }],
  connectors: [],
  resume: { rng: true, penalties: true, grammar: false, logprobs: true },
  batchInvariant: true,
  tasks: ["completion"],
  adapters: [],
  contract: { min: 1, max: 1 },
};

type Attempt = (request: GenerateRequest, options: GenerateOptions) => AsyncGenerator<TokenBatch>;
const idAt = (index: number): number => 100 + index;

/** Attempts by script, each at a worker of its own; seen requests are kept. */
function scripted(
  attempts: Attempt[],
  over: Partial<ModelCard> = {},
): { engine: Engine; seen: GenerateRequest[] } {
  const seen: GenerateRequest[] = [];
  const engine: Engine = {
    card: { ...card, ...over },
    async *generate(request, options) {
      const at = seen.push(request) - 1;
      options.onEvent?.({
        type: "routed",
        atMs: 0,
        requestId: request.id,
        choice: 0,
        attempt: request.attempt,
        phase: "full",
        worker: `w${at}`,
        epoch: "e",
        weightsDigest: "w",
        rank: 0,
        cachedTokens: 16,
        promptTokens: request.promptIds.length,
        costMs: 0,
        policy: "p",
        decisionMs: 0,
        candidates: [],
        reason: "",
      });
      yield* (attempts[at] ?? attempts.at(-1)!)(request, options);
    },
  };
  return { engine, seen };
}

/** Yields ids from where the request is up to `until`, then fails (`how`) or finishes at the budget. */
const upTo = (until: number, how: "cut" | "throw" | StatorError | "finish"): Attempt =>
  async function* ({ outputIds, limits }) {
    for (let i = outputIds.length; i < Math.min(until, limits.maxTokens); i++) {
      const isLast = i + 1 === limits.maxTokens;
      yield {
        firstIndex: i,
        ids: [idAt(i)],
        ...(isLast && how === "finish" ? { finish: { reason: "length" } } : {}),
      };
    }
    if (how === "throw") throw new Error("socket hang up");
    if (how instanceof Error) throw how;
  };

const request = (over: Partial<GenerateRequest> = {}): GenerateRequest =>
  createRequest({ id: "r", model: "m", promptIds: new Uint32Array(20), limits: { maxTokens: 10 }, ...over });

async function run(
  attempts: Attempt[],
  one: GenerateRequest = request(),
  options: MigratingOptions & { card?: Partial<ModelCard> } = {},
): Promise<{
  ids: number[];
  finish: unknown;
  error: StatorError | undefined;
  events: RequestEvent[];
  seen: GenerateRequest[];
  counts: ReturnType<typeof migrating>["counts"];
  batches: TokenBatch[];
}> {
  const { engine, seen } = scripted(attempts, options.card);
  const graph = migrating(engine, { deadlines: { retryBackoffMs: 1 }, ...options });
  const events: RequestEvent[] = [];
  const batches: TokenBatch[] = [];
  let error: StatorError | undefined;
  try {
    for await (const batch of graph.generate(one, {
      signal: new AbortController().signal,
      onEvent: (event) => events.push(event),
    }))
      batches.push(batch);
  } catch (thrown) {
    error = StatorError.from(thrown);
  }
  return {
    ids: batches.flatMap(({ ids }) => [...ids]),
    finish: batches.at(-1)?.finish,
    error,
    events,
    seen,
    counts: graph.counts,
    batches,
  };
}
const all = Array.from({ length: 10 }, (_, i) => idAt(i));
const migrations = (events: RequestEvent[]): RequestEvent[] =>
  events.filter(({ type }) => type === "migrated");

describe("a stream whose worker fails", () => {
  it.each(["cut", "throw"] as const)("goes on at the next index elsewhere (%s)", async (how) => {
    const { ids, finish, seen, events, counts } = await run([upTo(4, how), upTo(10, "finish")]);
    expect(ids).toEqual(all);
    expect(finish).toEqual({ reason: "length" });
    expect(seen[1]).toMatchObject({
      attempt: 1,
      avoid: [{ worker: "w0", epoch: "e" }],
      hints: { weightsDigest: "w" },
    });
    expect([...seen[1]!.outputIds]).toEqual(all.slice(0, 4));
    expect(seen[1]!.promptIds).toBe(seen[0]!.promptIds);
    expect(seen[1]!.sampling).toBe(seen[0]!.sampling);
    expect(seen[1]!.limits).toBe(seen[0]!.limits);
    expect(migrations(events)).toMatchObject([
      { from: "w0", cause: "crashed", outcome: "resumed", recomputedTokens: 8 },
    ]);
    expect(counts).toMatchObject({ active: 0, trackedTokens: 0 });
  });

  it("starts over freely before the first token", async () => {
    const { ids, events, seen } = await run([upTo(0, "cut"), upTo(10, "finish")]);
    expect(ids).toEqual(all);
    expect(migrations(events)).toMatchObject([{ outcome: "restarted" }]);
    expect(seen[1]!.hints).toBeUndefined();
  });

  it("finishes here when the budget is used up and only the final frame was lost", async () => {
    const { ids, finish, seen, events } = await run([upTo(10, "cut")]);
    expect(ids).toEqual(all);
    expect(finish).toEqual({ reason: "length" });
    expect(seen).toHaveLength(1);
    expect(migrations(events)).toMatchObject([{ outcome: "finishedLocally" }]);
  });

  it("finishes here when the last id was an end id", async () => {
    const ending: Attempt = async function* () {
      yield { firstIndex: 0, ids: [7, eos] };
    };
    expect(await run([ending])).toMatchObject({ ids: [7, eos], finish: { reason: "stop", stopId: eos } });
    expect(
      (await run([ending, upTo(10, "finish")], request({ limits: { maxTokens: 10, ignoreEos: true } }))).seen,
    ).toHaveLength(2);
    expect(
      (await run([ending, upTo(10, "finish")], request({ limits: { maxTokens: 10, minTokens: 5 } }))).seen,
    ).toHaveLength(2);
    expect(
      await run([ending], request({ limits: { maxTokens: 10, ignoreEos: true, stopIds: [eos] } })),
    ).toMatchObject({
      finish: { reason: "stop" },
    });
  });

  it("finishes here when the context is full", async () => {
    const full = await run([upTo(44, "cut")], request({ limits: { maxTokens: 1_000 } }));
    expect(full).toMatchObject({ finish: { reason: "length" } });
    expect(full.seen).toHaveLength(1);
  });

  it("bills what the first attempt found cached", async () => {
    const cached = (tokens: number, attempt: Attempt): Attempt =>
      async function* (one, options) {
        let first = true;
        for await (const batch of attempt(one, options)) {
          yield first ? { ...batch, cachedTokens: tokens } : batch;
          first = false;
        }
      };
    const { batches } = await run([cached(3, upTo(4, "cut")), cached(19, upTo(10, "finish"))]);
    expect(
      batches.filter((batch) => batch.cachedTokens !== undefined).map((batch) => batch.cachedTokens),
    ).toEqual([3]);
  });
});

describe("order", () => {
  it("drops duplicates and counts them", async () => {
    const twice: Attempt = async function* () {
      yield { firstIndex: 0, ids: [idAt(0), idAt(1)] };
      yield { firstIndex: 1, ids: [idAt(1)] };
      for (let i = 2; i < 10; i++)
        yield { firstIndex: i, ids: [idAt(i)], ...(i === 9 ? { finish: { reason: "length" } } : {}) };
    };
    expect(await run([twice])).toMatchObject({ ids: all, counts: { droppedBatches: 1 } });
  });

  it("cuts a stream with three wrong indexes and goes on elsewhere", async () => {
    let reason: unknown;
    const wrong: Attempt = async function* (_one, { signal }) {
      signal.addEventListener("abort", () => (reason = signal.reason));
      yield { firstIndex: 0, ids: [idAt(0)] };
      for (let i = 0; i < 9; i++) yield { firstIndex: 5, ids: [1] };
    };
    const { ids, events, counts } = await run([wrong, upTo(10, "finish")]);
    expect(ids).toEqual(all);
    expect(counts.droppedBatches).toBe(3);
    expect(migrations(events)).toMatchObject([{ cause: "protocolFault" }]);
    expect(reason).toMatchObject({ data: { observation: "protocolFault" } });
  });
});

describe("what is not migrated", () => {
  const kinds = [
    ["invalid", undefined],
    ["deadline", undefined],
    ["overloaded", "poolBusy"],
  ] as const;
  it.each(kinds)("an error of kind %s is the caller's", async (kind, observation) => {
    const error = new StatorError({
      code: "X",
      kind,
      message: "x",
      ...(observation === undefined ? {} : { data: { observation } }),
    });
    const result = await run([upTo(4, error)]);
    expect(result.error).toBe(error);
    expect(result.seen).toHaveLength(1);
    expect(migrations(result.events)).toEqual([]);
  });

  const needs: [Partial<GenerateRequest>, Partial<ModelCard["resume"]>, string][] = [
    [{ grammar: { kind: "regex", source: "a" } }, {}, "grammar"],
    [{ topLogprobs: 1 }, { logprobs: false }, "logprobs"],
    [{ sampling: { ...request().sampling, temperature: 1 } }, { rng: false }, "rng"],
    [{ sampling: { ...request().sampling, presencePenalty: 1 } }, { penalties: false }, "penalties"],
  ];
  it.each(needs)(
    "what the engine cannot carry over fails honestly after the first token, and restarts before it",
    async (over, lacks, missing) => {
      const options = { card: { resume: { ...card.resume, ...lacks } } };
      const late = await run([upTo(4, "cut"), upTo(10, "finish")], request(over), options);
      expect(late.error).toMatchObject({ code: "ROUTER_RESUME_UNSUPPORTED", data: { missing } });
      expect(late.seen).toHaveLength(1);
      expect(migrations(late.events)).toMatchObject([{ outcome: "failed" }]);
      expect(await run([upTo(0, "cut"), upTo(10, "finish")], request(over), options)).toMatchObject({
        ids: all,
      });
    },
  );

  it("what is beyond the memory cap", async () => {
    const { error, counts } = await run([upTo(4, "cut"), upTo(10, "finish")], request(), {
      maxTrackedTokens: 10,
    });
    expect(error).toMatchObject({ code: "ROUTER_NOT_MIGRATABLE" });
    expect(counts).toMatchObject({ notMigratable: 1, trackedTokens: 0 });
  });

  it("a pinned stream", async () => {
    const { error } = await run([upTo(4, "cut")], request({ hints: { pin: { worker: "w0" } } }));
    expect(error).toMatchObject({ code: "ROUTER_NOT_MIGRATABLE" });
  });
});

describe("bounds", () => {
  it("three attempts, then one clean error", async () => {
    const { error, seen, events } = await run(
      [upTo(2, "cut"), upTo(4, "cut"), upTo(6, "cut"), upTo(10, "finish")],
      request(),
      { attempts: 3 },
    );
    expect(error).toMatchObject({ code: "ROUTER_ATTEMPTS_EXHAUSTED", kind: "unavailable" });
    expect(seen).toHaveLength(3);
    expect(seen[2]!.avoid.map(({ worker }) => worker)).toEqual(["w0", "w1"]);
    expect(migrations(events).map((event) => event.type === "migrated" && event.outcome)).toEqual([
      "resumed",
      "resumed",
      "failed",
    ]);
  });

  it("refusals before dispatch, draining and busy workers use up none, but end too", async () => {
    const refused = (observation: string): StatorError =>
      routerError("ROUTER_ATTEMPT_FAILED", "x", { observation });
    const free = ["neverStarted", "draining", "busy", "identityFailed"].map((one) => upTo(0, refused(one)));
    expect(await run([...free, upTo(10, "finish")])).toMatchObject({ ids: all });
    const { error, seen } = await run([upTo(0, refused("busy"))]);
    expect(error).toMatchObject({ code: "ROUTER_ATTEMPTS_EXHAUSTED" });
    expect(seen.length).toBeLessThan(20);
  });

  it("our own silence uses up none and shuns nobody: the same life may go on", async () => {
    const silence = routerError("ROUTER_ATTEMPT_FAILED", "The caller was silent.", {
      worker: "w",
      epoch: "e",
      observation: "callerSilent",
    });
    const broken = [1, 2, 3, 4, 5, 6].map((until) => upTo(until, silence));
    const { ids, seen, events } = await run([...broken, upTo(10, "finish")]);
    expect(ids).toEqual(all);
    expect(seen.at(-1)!.avoid).toEqual([]);
    expect(migrations(events)).toHaveLength(6);
    expect(migrations(events)[0]).toMatchObject({ cause: "callerSilent", outcome: "resumed" });
    const endless = await run([upTo(0, silence)]);
    expect(endless.error).toMatchObject({ code: "ROUTER_ATTEMPTS_EXHAUSTED" });
    expect(endless.seen.length).toBeLessThan(20);
  });

  it("the whole request's deadline, even when the engine hangs", async () => {
    const clock = createVirtualClock();
    const hang: Attempt = async function* () {
      await new Promise(() => {});
    };
    const { engine } = scripted([hang]);
    const graph = migrating(engine, { clock, deadlines: { requestMs: 5_000 } });
    const output = graph.generate(request(), { signal: new AbortController().signal });
    const stream = output[Symbol.asyncIterator]();
    const result = stream.next().catch((error: unknown) => error);
    expect(await clock.run(result)).toMatchObject({ code: "ROUTER_REQUEST_DEADLINE", kind: "deadline" });
    expect(clock.now()).toBe(5_000);
    expect(graph.counts.active).toBe(0);
  });

  it("no dispatch after an abort in the gap; the outcome is cancelled", async () => {
    const clock = createVirtualClock();
    const { engine, seen } = scripted([upTo(4, "cut"), upTo(10, "finish")]);
    const graph = migrating(engine, { clock, random: () => 1 });
    const controller = new AbortController();
    const ids: number[] = [];
    const work = (async () => {
      for await (const batch of graph.generate(request(), { signal: controller.signal }))
        ids.push(...batch.ids);
    })();
    clock.schedule(1, () => controller.abort());
    await expect(clock.run(work)).rejects.toMatchObject({ kind: "cancelled" });
    expect(ids).toEqual(all.slice(0, 4));
    expect(seen).toHaveLength(1);
    expect(graph.counts).toMatchObject({ active: 0, trackedTokens: 0 });
  });

  it("many retries at once wait in line; none is lost", async () => {
    const clock = createVirtualClock();
    let running = 0;
    let most = 0;
    const engine: Engine = {
      card,
      async *generate({ outputIds, attempt, limits }) {
        if (attempt === 0) {
          yield { firstIndex: 0, ids: [idAt(0)] };
          throw new Error("gone");
        }
        running += 1;
        most = Math.max(most, running);
        await new Promise<void>((resolve) => clock.schedule(10, resolve));
        running -= 1;
        for (let i = outputIds.length; i < limits.maxTokens; i++)
          yield {
            firstIndex: i,
            ids: [idAt(i)],
            ...(i + 1 === limits.maxTokens ? { finish: { reason: "length" as const } } : {}),
          };
      },
    };
    const graph = migrating(engine, { clock });
    const one = async (id: string): Promise<number[]> => {
      const ids: number[] = [];
      for await (const batch of graph.generate(request({ id }), { signal: new AbortController().signal }))
        ids.push(...batch.ids);
      return ids;
    };
    const results = await clock.run(Promise.all(Array.from({ length: 50 }, (_, i) => one(`r${i}`))));
    expect(results).toEqual(Array.from({ length: 50 }, () => all));
    expect(most).toBeLessThanOrEqual(10);
  });
});

describe("a poison request", () => {
  it("is quarantined after three workers, and its prompt is not run again for ten minutes", async () => {
    const clock = createVirtualClock();
    const { engine, seen } = scripted([upTo(0, "throw")]);
    const graph = migrating(engine, { clock, attempts: 5 });
    const code = async (promptIds: Uint32Array): Promise<string> => {
      try {
        for await (const _batch of graph.generate(request({ promptIds }), {
          signal: new AbortController().signal,
        }));
        return "ok";
      } catch (error) {
        return StatorError.from(error).code;
      }
    };
    const poison = Uint32Array.of(6, 6, 6);
    expect(await clock.run(code(poison))).toBe("ROUTER_REQUEST_QUARANTINED");
    expect(seen).toHaveLength(3);
    expect(await clock.run(code(Uint32Array.of(6, 6, 6)))).toBe("ROUTER_REQUEST_QUARANTINED");
    expect(seen).toHaveLength(3);
    clock.advance(600_001);
    expect(await clock.run(code(poison))).toBe("ROUTER_REQUEST_QUARANTINED");
    expect(seen).toHaveLength(6);
  });
});

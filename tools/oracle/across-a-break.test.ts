import {
  createRequest,
  createVirtualClock,
  defineEngine,
  greedy,
  wrapEngine,
  type Engine,
} from "@stator/core";
import { linearStepTime } from "@stator/engines/simulated";
import { createOpenAIHandler, type OpenAIHandler } from "@stator/frontend";
import { always, createPool, disaggregated, migrating, roundRobin } from "@stator/router";
import { collect, createTestCluster } from "@stator/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteTokenizer } from "../../packages/frontend/test/kit.ts";

const tokenizer = byteTokenizer();
const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];

/** Says these ids, one a step, from wherever it is resumed. */
function speaking(ids: readonly number[]): Engine {
  const resume = { rng: true, penalties: true, grammar: false, logprobs: true };
  return defineEngine(
    { model: "m", contextTokens: 4_096, tokenizer, card: { resume } },
    async function* (request) {
      for (let i = request.outputIds.length; i < ids.length; i++) {
        // What a resumed attempt finds is nobody's bill.
        const cachedTokens = request.outputIds.length === 0 ? 16 : 48;
        const cached = i === request.outputIds.length ? { cachedTokens } : {};
        const logprobs = request.topLogprobs === undefined ? {} : { logprobs: [{ logprob: -i, top: [] }] };
        yield { ids: [ids[i]!], ...logprobs, ...cached };
      }
    },
  );
}

/** The worker of the first attempt dies once it has said so many tokens. */
function dyingAfter(engine: Engine, tokens: number): Engine {
  return wrapEngine(engine, {
    async *generate(request, options) {
      let said = request.outputIds.length;
      if (request.attempt === 0 && said === tokens) throw new Error("socket hang up");
      for await (const batch of engine.generate(request, options)) {
        yield request.attempt === 0 && said + batch.ids.length >= tokens
          ? { ...batch, finish: undefined as never }
          : batch;
        said += batch.ids.length;
        if (request.attempt === 0 && said >= tokens) throw new Error("socket hang up");
      }
    },
  });
}

interface Answer {
  readonly text: string;
  readonly calls: readonly { name: string; arguments: string }[];
  readonly callIds: number;
  readonly finishes: readonly string[];
  readonly usage: unknown;
  readonly logprobs: readonly number[];
  readonly error?: unknown;
  readonly dones: number;
}

interface Choice {
  readonly delta?: Message;
  readonly message?: Message;
  readonly finish_reason?: string | null;
  readonly logprobs?: { readonly content?: readonly { readonly logprob: number }[] } | null;
}
interface Message {
  readonly content?: string | null;
  readonly tool_calls?: readonly {
    readonly index?: number;
    readonly id?: string;
    readonly function?: { readonly name?: string; readonly arguments?: string };
  }[];
}

async function ask(handler: OpenAIHandler, fields: object, stream: boolean): Promise<Answer> {
  const response = await handler(
    new Request("http://oracle.local/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "m",
        messages: [{ role: "user", content: "Say it." }],
        ...fields,
        ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
      }),
    }),
  );
  const text = await response.text();
  const events = stream && response.status === 200 ? text.split("\n\n").filter((one) => one !== "") : [];
  const data = events.map((event) => event.replace(/^data: /, ""));
  const bodies = (events.length > 0 ? data.filter((one) => one !== "[DONE]") : [text]).map(
    (one) => JSON.parse(one) as { choices?: Choice[]; usage?: unknown; error?: unknown },
  );
  const calls: { name: string; arguments: string }[] = [];
  const answer = {
    text: "",
    calls,
    callIds: 0,
    finishes: [] as string[],
    usage: undefined as unknown,
    logprobs: [] as number[],
    dones: data.filter((one) => one === "[DONE]").length,
  };
  let error: unknown;
  for (const body of bodies) {
    answer.usage = body.usage ?? answer.usage;
    error = body.error ?? error;
    for (const { delta, message, finish_reason: finish, logprobs } of body.choices ?? []) {
      const { content, tool_calls: pieces = [] } = delta ?? message ?? {};
      answer.text += content ?? "";
      if (finish != null) answer.finishes.push(finish);
      answer.logprobs.push(...(logprobs?.content ?? []).map(({ logprob }) => logprob));
      for (const [at, { index = at, id, function: call }] of pieces.entries()) {
        if (id !== undefined) answer.callIds += 1;
        calls[index] ??= { name: "", arguments: "" };
        calls[index].name += call?.name ?? "";
        calls[index].arguments += call?.arguments ?? "";
      }
    }
  }
  return { ...answer, ...(error === undefined ? {} : { error }) };
}

const handlerOf = (engine: Engine): OpenAIHandler =>
  createOpenAIHandler({
    models: { m: migrating(engine, { deadlines: { retryBackoffMs: 0.01 } }) },
    toolCallFormats: { m: "qwen3Coder" },
  });

describe("an answer whose worker dies at any index is the undisturbed one, whole and streamed", () => {
  const tools = [
    {
      type: "function",
      function: {
        name: "weather",
        parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
      },
    },
  ];
  const { eos } = tokenizer;
  const cases: [string, readonly number[], object][] = [
    [
      "a stop string that the break splits",
      [...bytesOf("Up to STOP and no further."), eos],
      { stop: ["STOP"] },
    ],
    ["stop strings of many bytes", [...bytesOf("Ja né 🌍 ende 日本"), eos], { stop: ["🌍 e", "日"] }],
    ["characters of many bytes", [...bytesOf("Grüß 🌍, 日本!"), eos], { logprobs: true }],
    // "the", " the", "qu" and "in" are one token each.
    ["merged tokens", [258, 259, 32, 260, 261, 0xf0, 0x9f, 0x8c, 0x8d, 258, eos], { logprobs: true }],
    [
      "calls to tools, in their names, keys and values",
      [
        ...bytesOf(
          "Hm.\n<tool_call>\n<function=weather>\n<parameter=city>\nGrüß 🌍\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
        ),
        eos,
      ],
      { tools },
    ],
    ["the budget", bytesOf("One, two, three, four"), { max_tokens: 9 }],
  ];
  it.each(cases)("%s", async (_, ids, fields) => {
    const undisturbed = handlerOf(speaking(ids));
    for (const stream of [false, true]) {
      const expected = await ask(undisturbed, fields, stream);
      expect(expected).toMatchObject({ finishes: { length: 1 }, dones: stream ? 1 : 0 });
      expect(expected.error).toBeUndefined();
      // An end id comes with its finish; without it, it is text like any other to whoever wants its probability.
      const last = "logprobs" in fields ? ids.length - 1 : ids.length;
      for (let index = 0; index <= last; index++)
        expect(await ask(handlerOf(dyingAfter(speaking(ids), index)), fields, stream), `${index}`).toEqual(
          expected,
        );
    }
  });
});

describe("a failure that no worker can mend", () => {
  const failing = (tokens: number): OpenAIHandler =>
    handlerOf(
      wrapEngine(speaking([]), {
        async *generate() {
          for (let i = 0; i < tokens; i++) yield { firstIndex: i, ids: [104] };
          await new Promise((resolve) => setImmediate(resolve));
          throw new Error("socket hang up");
        },
      }),
    );
  const send = (handler: OpenAIHandler, stream: boolean): Promise<Response> =>
    handler(
      new Request("http://oracle.local/v1/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "m",
          messages: [{ role: "user", content: "x" }],
          stream,
          max_tokens: 9,
        }),
      }),
    );

  it.each([false, true])("has a status of its own before the first token (stream: %s)", async (stream) => {
    const response = await send(failing(0), stream);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: expect.any(String) as string } });
  });

  it("is an event of the stream after it, and the stream does not end with [DONE]", async () => {
    const response = await send(failing(3), true);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toContain('"content":"h"');
    expect(text.match(/"error":/g)).toHaveLength(1);
    expect(text).not.toContain("[DONE]");
    expect(text).not.toContain('"finish_reason":"');
  });

  it("is the whole answer where nothing was sent yet", async () => {
    expect((await send(failing(3), false)).status).toBe(503);
  });
});

it("a request without a seed gets one that all of its attempts share, another for each request", async () => {
  const seeds: bigint[][] = [];
  const inner = speaking([...bytesOf("abcdef"), tokenizer.eos]);
  const engine = wrapEngine(dyingAfter(inner, 3), {});
  const watched = wrapEngine(engine, {
    generate(request, options) {
      if (request.attempt === 0) seeds.push([]);
      seeds.at(-1)!.push(request.sampling.seed);
      return engine.generate(request, options);
    },
  });
  const handler = handlerOf(watched);
  for (let i = 0; i < 2; i++) expect((await ask(handler, { temperature: 1 }, true)).text).toBe("abcdef");
  expect(seeds).toHaveLength(2);
  for (const [first, ...others] of seeds) expect(others).toEqual([first]);
  expect(seeds[0]![0]).not.toBe(seeds[1]![0]);
});

const pace = { stepTime: linearStepTime({ baseMs: 20, perPrefillTokenMs: 0.05 }) };

it("four choices of one request: two of them lose their worker, and each goes on by itself", async () => {
  const texts = async (isHurt: boolean): Promise<string[]> => {
    const clock = createVirtualClock();
    await using cluster = await createTestCluster({
      clock,
      workers: [{ role: "decode", count: 2, engine: pace }],
    });
    const pool = createPool({ workers: cluster.runtime.workers(), clock, policy: roundRobin() });
    let migrations = 0;
    const handler = createOpenAIHandler({
      models: { tiny: migrating(pool, { clock }) },
      clock,
      observers: [({ type }) => void (migrations += type === "migrated" ? 1 : 0)],
    });
    if (isHurt) cluster.kill("decode-0", { afterTokens: 20 });
    const answer = handler(
      new Request("http://oracle.local/v1/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "tiny",
          n: 4,
          seed: 5,
          temperature: 0.9,
          max_tokens: 40,
          messages: [{ role: "user", content: "Four times, please." }],
        }),
      }),
    );
    const response = await clock.run(answer);
    const body = (await response.json()) as {
      choices: { index: number; message: { content: string }; finish_reason: string }[];
      usage: object;
    };
    expect(migrations).toBe(isHurt ? 2 : 0);
    expect(body.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(body.usage).toMatchObject({ completion_tokens: 160 });
    return body.choices.map(({ message, finish_reason: reason }) => `${reason}: ${message.content}`);
  };
  const expected = await texts(false);
  expect(new Set(expected).size).toBe(4);
  expect(await texts(true)).toEqual(expected);
});

it("any sampling, penalties, minimum and bias, cut at any index: the ids and log probabilities of an undisturbed run", async () => {
  const number = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
  const sampling = fc.record({
    temperature: number(0, 1.5),
    topP: number(0.3, 1),
    topK: fc.integer({ min: 0, max: 50 }),
    minP: number(0, 0.1),
    seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    presencePenalty: number(-2, 2),
    frequencyPenalty: number(-2, 2),
    repetitionPenalty: number(0.5, 2),
    logitBias: fc.constant(new Map([[101, 4]])),
  });
  const limits = fc.record({
    maxTokens: fc.constant(48),
    minTokens: fc.integer({ min: 0, max: 48 }),
    stopIds: fc.constant([104, 105, 106]),
  });
  await fc.assert(
    fc.asyncProperty(sampling, limits, fc.integer({ min: 1, max: 40 }), async (chosen, bounds, index) => {
      const clock = createVirtualClock();
      await using cluster = await createTestCluster({
        clock,
        workers: [
          { role: "decode", count: 2, engine: { ...pace, endProbability: 0.02 } },
          { role: "prefill", count: 1, engine: { ...pace, endProbability: 0.02 } },
        ],
      });
      const pool = (role: "prefill" | "decode"): ReturnType<typeof createPool> =>
        createPool({ workers: cluster.runtime.workers({ role }), clock });
      const graph = migrating(
        disaggregated({ prefill: pool("prefill"), decode: pool("decode"), when: always, clock }),
        { clock },
      );
      const request = createRequest({
        id: "r",
        model: "tiny",
        promptIds: Uint32Array.from({ length: 70 }, (_, i) => 97 + ((i * 7) % 20)),
        sampling: { ...greedy, ...chosen },
        limits: bounds,
        topLogprobs: 2,
      });
      let isKilled = false;
      for (const name of ["decode-0", "decode-1"])
        cluster.at(name, index, () => {
          if (!isKilled) cluster.kill(name);
          isKilled = true;
        });
      expect(await clock.run(collect(graph, request))).toEqual(await cluster.undisturbed(request));
    }),
    { numRuns: 25 },
  );
});

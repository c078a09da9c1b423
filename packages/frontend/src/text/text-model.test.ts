import { defineEngine, type Engine, type RequestEvent } from "@stator/core";
import { afterEach, describe, expect, it } from "vitest";
import {
  byteEngine,
  byteTokenizer,
  echo,
  repeating,
  saying,
  spaceMarkTokenizer,
  until,
} from "../../test/kit.ts";
import { createTextModel, type TextModel } from "./text-model.ts";
import type { TextPart, TextRequest } from "./text-request.ts";

const models: TextModel[] = [];
afterEach(() => Promise.all(models.splice(0).map((model) => model.close())));

function textModel(engine: Engine): TextModel {
  const model = createTextModel(engine);
  models.push(model);
  return model;
}

async function collect(parts: AsyncIterable<TextPart>): Promise<TextPart[]> {
  const all: TextPart[] = [];
  for await (const part of parts) all.push(part);
  return all;
}

const chat = (content: string): TextRequest => ({ prompt: { messages: [{ role: "user", content }] } });
const text = (parts: readonly TextPart[], choice = 0): string =>
  parts
    .filter((part) => part.choice === choice)
    .map((part) => part.text)
    .join("");

describe("a text model", () => {
  it("renders the template, tokenizes, and says what the engine says", async () => {
    let prompt: Uint32Array | undefined;
    const model = textModel(
      byteEngine(async function* (request) {
        prompt = request.promptIds;
        yield* saying("Ja 🌍")(request, { signal: new AbortController().signal });
      }),
    );
    const parts = await collect(model.generate(chat("Hallo")));
    expect(text(parts)).toBe("Ja 🌍");
    expect(parts.at(-1)).toMatchObject({
      finish: { reason: "stop" },
      usage: { completionTokens: 8, cachedTokens: 0, promptTokens: prompt!.length },
    });
    expect(prompt![0]).toBe(byteTokenizer().bos);
    const again = textModel(byteEngine(echo));
    expect(text(await collect(again.generate({ prompt: { ids: prompt! } })))).toBe(
      "<|user|>Hallo\n<|assistant|>",
    );
  });

  it("hands tools and parsed tool call arguments to the template", async () => {
    const tokenizer = {
      ...byteTokenizer(),
      chatTemplate:
        "{{ tools[0].function.name }}:{{ messages[0].tool_calls[0].function.arguments.city }}:{{ messages[1].tool_call_id }}:{{ messages[1].name }}:{{ flag }}",
    };
    const model = textModel(defineEngine({ model: "t", contextTokens: 100, tokenizer }, echo));
    const prompt = {
      messages: [
        {
          role: "assistant",
          content: undefined,
          toolCalls: [{ id: "c1", name: "weather", arguments: '{"city":"Bern"}' }],
        },
        { role: "tool", content: "12", toolCallId: "c1" },
      ],
      tools: [{ type: "function", function: { name: "weather" } }],
      templateVariables: { flag: "on" },
    };
    expect(text(await collect(model.generate({ prompt })))).toBe("weather:Bern:c1:weather:on");
  });

  it("tells calls apart from text when the format of its model's calls is known", async () => {
    const said = 'Hm. <tool_call>{"name":"weather","arguments":{"city":"Bern"}}</tool_call>';
    const model = createTextModel(byteEngine(saying(said)), { toolCallFormat: "hermes" });
    models.push(model);
    const prompt = {
      messages: [{ role: "user", content: "?" }],
      tools: [{ type: "function", function: { name: "weather" } }],
    };
    const parts = await collect(model.generate({ prompt }));
    expect(text(parts)).toBe("Hm.");
    const calls = parts.flatMap(({ toolCall }) => toolCall ?? []);
    expect(calls[0]).toMatchObject({ index: 0, name: "weather" });
    expect(calls.map((call) => call.arguments).join("")).toBe('{"city":"Bern"}');
    expect(parts.at(-1)).toMatchObject({ finish: { reason: "toolCalls" }, usage: {} });
    expect(text(await collect(model.generate(chat("?"))))).toBe(said);
  });

  it("says a template's refusal as an invalid request", async () => {
    const tokenizer = { ...byteTokenizer(), chatTemplate: "{{ raise_exception('roles must alternate') }}" };
    const model = textModel(defineEngine({ model: "t", contextTokens: 100, tokenizer }, echo));
    await expect(collect(model.generate(chat("x")))).rejects.toMatchObject({
      code: "FRONTEND_TEMPLATE_FAILED",
      kind: "invalid",
      message: expect.stringContaining("alternate") as string,
    });
  });

  it("puts the begin token in front of text prompts once, when the card says so", async () => {
    const seen: number[][] = [];
    const model = textModel(
      defineEngine(
        { model: "t", contextTokens: 100, tokenizer: spaceMarkTokenizer() },
        async function* (request) {
          seen.push([...request.promptIds]);
          yield { ids: [2] };
        },
      ),
    );
    await collect(model.generate({ prompt: { text: "the" } }));
    await collect(model.generate({ prompt: { text: "<s>the" } }));
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]![0]).toBe(1);
  });

  it("fixes one 64-bit seed for all choices, another for each request", async () => {
    const seeds: bigint[] = [];
    const model = textModel(
      byteEngine(async function* (request) {
        seeds.push(request.sampling.seed);
        yield { ids: [33] };
      }),
    );
    await collect(model.generate({ ...chat("x"), n: 2 }));
    await collect(model.generate(chat("x")));
    expect(seeds[0]).toBe(seeds[1]);
    expect(seeds[2]).not.toBe(seeds[0]);
    expect(seeds[0]! >= 0n && seeds[0]! < 2n ** 64n).toBe(true);
  });

  it("ends the engine's work at a stop string and when its reader leaves", async () => {
    for (const leave of ["stop", "break"]) {
      const watch: { yielded?: number; returned?: boolean } = {};
      const model = textModel(byteEngine(repeating(104, watch), { contextTokens: 1_000_000 }));
      for await (const part of model.generate({
        ...chat("x"),
        ...(leave === "stop" ? { stop: ["hhhhh"] } : {}),
      })) {
        if (leave === "break") break;
        if (part.finish !== undefined) expect(part.finish).toEqual({ reason: "stop", stop: "hhhhh" });
      }
      await until(() => watch.returned === true, "the generator to end");
      expect(watch.yielded).toBeLessThan(100);
    }
  });

  it("fetches the tokenizer once for many requests and again after a failure", async () => {
    const inner = byteEngine(saying("ok"));
    let fetched = 0;
    const engine: Engine = {
      ...inner,
      artifact: (digest, options) =>
        fetched++ === 0 ? Promise.reject(new Error("cut")) : inner.artifact!(digest, options),
    };
    const model = textModel(engine);
    await expect(collect(model.generate(chat("x")))).rejects.toMatchObject({
      code: "FRONTEND_TOKENIZER_FAILED",
      kind: "unavailable",
    });
    const all = await Promise.all(Array.from({ length: 5 }, () => collect(model.generate(chat("x")))));
    expect(all.map((parts) => text(parts))).toEqual(Array.from({ length: 5 }, () => "ok"));
    expect(fetched).toBe(2);
  });

  it("waits for its first worker, and has none when the wait is over or its caller left", async () => {
    const later = byteEngine(saying("ok"));
    let isThere = false;
    const engine: Engine = {
      get card() {
        return isThere ? later.card : undefined;
      },
      artifact: later.artifact!,
      generate: (request, options) => later.generate(request, options),
    };
    const hasty = createTextModel(engine, { workerWaitMs: 30 });
    models.push(hasty);
    await expect(collect(hasty.generate(chat("x")))).rejects.toMatchObject({
      code: "FRONTEND_MODEL_NOT_READY",
      kind: "unavailable",
    });
    const model = textModel(engine);
    const left = new AbortController();
    const leaving = collect(model.generate(chat("x"), { signal: left.signal }));
    left.abort();
    await expect(leaving).rejects.toMatchObject({ kind: "cancelled" });
    const waiting = collect(model.generate(chat("x")));
    isThere = true;
    expect(text(await waiting)).toBe("ok");
  });

  it("calls an engine's stream without a finish, out of order or given up a failure", async () => {
    const { artifact, card } = byteEngine(echo);
    const broken = (batches: object[]): Engine => ({
      card,
      artifact: artifact!,
      async *generate() {
        yield* batches as never[];
      },
    });
    for (const batches of [
      [{ firstIndex: 0, ids: [104] }],
      [{ firstIndex: 1, ids: [104] }],
      [{ firstIndex: 0, ids: [104], finish: { reason: "abort" } }],
    ]) {
      await expect(collect(textModel(broken(batches)).generate(chat("x")))).rejects.toMatchObject({
        code: "FRONTEND_STREAM_TRUNCATED",
      });
    }
  });

  it("tells each event of a request once", async () => {
    const events: RequestEvent[] = [];
    const engine = byteEngine(async function* (request, { onEvent }) {
      const base = { atMs: 0, requestId: request.id, choice: request.choice, attempt: 0 };
      onEvent?.({ ...base, type: "queued", where: "here" });
      onEvent?.({ ...base, type: "firstToken" });
      yield { ids: [104, 105], cachedTokens: 3 };
      yield { ids: [106] };
      onEvent?.({
        ...base,
        type: "finished",
        reason: "stop",
        promptTokens: 0,
        outputTokens: 0,
        cachedTokens: 0,
      });
    });
    const parts = await collect(
      textModel(engine).generate({ ...chat("x"), id: "r1" }, { onEvent: (event) => events.push(event) }),
    );
    expect(events.map((event) => event.type)).toEqual([
      "queued",
      "firstToken",
      "tokens",
      "tokens",
      "finished",
    ]);
    expect(events.at(-1)).toMatchObject({
      requestId: "r1",
      reason: "stop",
      outputTokens: 3,
      cachedTokens: 3,
    });
    expect(parts.at(-1)!.usage).toMatchObject({ completionTokens: 3, cachedTokens: 3 });
  });
});

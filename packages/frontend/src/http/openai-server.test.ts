import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import type { Engine } from "@stator/core";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { byteEngine, byteTokenizer, echo, repeating, saying, until } from "../../test/kit.ts";
import { createOpenAIServer, type OpenAIServer, type OpenAIServerOptions } from "./openai-server.ts";

const servers: OpenAIServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(
  options: OpenAIServerOptions,
): Promise<{ url: string; client: OpenAI; server: OpenAIServer }> {
  const server = createOpenAIServer(options);
  servers.push(server);
  const { url } = await server.listen({ port: 0 });
  return { url, server, client: new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 }) };
}

const json = { "content-type": "application/json" };
const hello = [{ role: "user" as const, content: "Hello" }];

describe("the official openai client", () => {
  it("gets a whole chat answer with usage", async () => {
    const { client } = await serve({ models: { bytes: byteEngine(saying("Grüße, 世界 🌍!")) } });
    const answer = await client.chat.completions.create({ model: "bytes", messages: hello });
    expect(answer.object).toBe("chat.completion");
    expect(answer.choices).toHaveLength(1);
    expect(answer.choices[0]).toMatchObject({
      index: 0,
      finish_reason: "stop",
      message: { role: "assistant", content: "Grüße, 世界 🌍!" },
    });
    const tokens = new TextEncoder().encode("Grüße, 世界 🌍!").length + 1;
    expect(answer.usage).toMatchObject({
      completion_tokens: tokens,
      prompt_tokens_details: { cached_tokens: 0 },
    });
    expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + tokens);
  });

  it("gets the same text in pieces, role first, finish and usage last", async () => {
    const { client } = await serve({ models: { bytes: byteEngine(saying("Grüße 🌍")) } });
    const stream = await client.chat.completions.create({
      model: "bytes",
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    const reasons: string[] = [];
    const chunks = [];
    for await (const chunk of stream) {
      chunks.push(chunk);
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) reasons.push(chunk.choices[0].finish_reason);
    }
    expect(text).toBe("Grüße 🌍");
    expect(reasons).toEqual(["stop"]);
    expect(chunks[0]!.choices[0]!.delta.role).toBe("assistant");
    expect(chunks.at(-1)!.choices).toEqual([]);
    expect(chunks.at(-1)!.usage).toMatchObject({ completion_tokens: 13 });
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  it("gets n choices, streamed and whole", async () => {
    const engine = byteEngine(async function* (request) {
      for (const byte of new TextEncoder().encode(`choice ${request.choice}`)) yield { ids: [byte] };
    });
    const { client } = await serve({ models: { bytes: engine } });
    const whole = await client.chat.completions.create({ model: "bytes", messages: hello, n: 3 });
    expect(whole.choices.map((choice) => choice.message.content)).toEqual([
      "choice 0",
      "choice 1",
      "choice 2",
    ]);
    const texts = ["", "", ""];
    for await (const chunk of await client.chat.completions.create({
      model: "bytes",
      messages: hello,
      n: 3,
      stream: true,
    })) {
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? "";
    }
    expect(texts).toEqual(["choice 0", "choice 1", "choice 2"]);
  });

  it("completes strings, lists of strings and token ids", async () => {
    const { client } = await serve({ models: { bytes: byteEngine(echo) } });
    const one = await client.completions.create({ model: "bytes", prompt: "abc", max_tokens: 100 });
    expect(one.choices[0]!.text).toBe("abc");
    const two = await client.completions.create({ model: "bytes", prompt: ["abc", "xyz"], max_tokens: 100 });
    expect(two.choices.map((choice) => [choice.index, choice.text])).toEqual([
      [0, "abc"],
      [1, "xyz"],
    ]);
    expect(two.usage!.prompt_tokens).toBe(6);
    const ids = await client.completions.create({
      model: "bytes",
      prompt: [[104, 105], [33]],
      max_tokens: 100,
    });
    expect(ids.choices.map((choice) => choice.text)).toEqual(["hi", "!"]);
    const flat = await client.completions.create({ model: "bytes", prompt: [104, 105], max_tokens: 1 });
    expect(flat.choices[0]).toMatchObject({ text: "h", finish_reason: "length" });
  });

  it("stops at stop strings, which do not show", async () => {
    const { client } = await serve({ models: { bytes: byteEngine(saying("one END two")) } });
    const whole = await client.chat.completions.create({
      model: "bytes",
      messages: hello,
      stop: ["END", "never"],
    });
    expect(whole.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: "one " } });
    expect(whole.usage!.completion_tokens).toBe(7);
  });

  it("gets log probabilities", async () => {
    const engine = byteEngine(async function* () {
      yield {
        ids: [104],
        logprobs: [
          {
            logprob: -0.5,
            top: [
              { id: 104, logprob: -0.5 },
              { id: 105, logprob: -1.5 },
            ],
          },
        ],
      };
      yield {
        ids: [105],
        logprobs: [
          {
            logprob: -0.25,
            top: [
              { id: 105, logprob: -0.25 },
              { id: 104, logprob: Number.NEGATIVE_INFINITY },
            ],
          },
        ],
      };
    });
    const { client } = await serve({ models: { bytes: engine } });
    const chat = await client.chat.completions.create({
      model: "bytes",
      messages: hello,
      logprobs: true,
      top_logprobs: 2,
    });
    expect(chat.choices[0]!.logprobs!.content).toEqual([
      {
        token: "h",
        logprob: -0.5,
        bytes: [104],
        top_logprobs: [
          { token: "h", logprob: -0.5, bytes: [104] },
          { token: "i", logprob: -1.5, bytes: [105] },
        ],
      },
      {
        token: "i",
        logprob: -0.25,
        bytes: [105],
        top_logprobs: [
          { token: "i", logprob: -0.25, bytes: [105] },
          { token: "h", logprob: -9999, bytes: [104] },
        ],
      },
    ]);
    const text = await client.completions.create({ model: "bytes", prompt: "x", logprobs: 2 });
    expect(text.choices[0]!.logprobs).toMatchObject({
      tokens: ["h", "i"],
      token_logprobs: [-0.5, -0.25],
      text_offset: [0, 1],
    });
  });

  it("lists models and refuses an unknown one by name", async () => {
    const { client } = await serve({ models: { bytes: byteEngine(echo) } });
    expect((await client.models.list()).data.map((model) => model.id)).toEqual(["bytes"]);
    expect((await client.models.retrieve("bytes")).id).toBe("bytes");
    await expect(client.chat.completions.create({ model: "none", messages: hello })).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
      param: "model",
    });
  });

  it("passes every sampling parameter to the engine", async () => {
    let seen: unknown;
    const engine = byteEngine(async function* (request) {
      seen = { ...request.sampling, limits: request.limits, topLogprobs: request.topLogprobs };
      yield { ids: [33] };
    });
    const { client } = await serve({ models: { bytes: engine } });
    await client.chat.completions.create({
      model: "bytes",
      messages: hello,
      temperature: 0.5,
      top_p: 0.9,
      seed: 7,
      max_completion_tokens: 9,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { "65": -100 },
      logprobs: true,
      ...({
        top_k: 40,
        min_p: 0.05,
        ignore_eos: true,
        min_tokens: 2,
        stop_token_ids: [10],
        repetition_penalty: 1.1,
      } as object),
    });
    expect(seen).toEqual({
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      minP: 0.05,
      seed: 7n,
      presencePenalty: 1,
      frequencyPenalty: -1,
      repetitionPenalty: 1.1,
      logitBias: new Map([[65, -100]]),
      limits: { maxTokens: 9, minTokens: 2, stopIds: [10], ignoreEos: true },
      topLogprobs: 0,
    });
  });

  it("sees an engine's failure before the first token as a status, after it as an error event without [DONE]", async () => {
    const failing = (after: number) =>
      byteEngine(async function* () {
        for (let i = 0; i < after; i++) yield { ids: [104] };
        throw new Error("secret detail");
      });
    const { client, url } = await serve({ models: { before: failing(0), after: failing(2) } });
    await expect(
      client.chat.completions.create({ model: "before", messages: hello, stream: true }),
    ).rejects.toMatchObject({ status: 500 });
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ model: "after", messages: hello, stream: true }),
    });
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(text).toContain('"type":"server_error"');
    expect(text).not.toContain("secret");
    expect(text).not.toContain("[DONE]");
  });
});

describe("the AI SDK", () => {
  it("generates and streams through the OpenAI-compatible provider", async () => {
    const { url } = await serve({ models: { bytes: byteEngine(saying("Hallo Welt")) } });
    const provider = createOpenAICompatible({ name: "stator", baseURL: `${url}/v1` });
    const whole = await generateText({ model: provider("bytes"), prompt: "Hi" });
    expect(whole.text).toBe("Hallo Welt");
    const streamed = streamText({ model: provider("bytes"), prompt: "Hi" });
    let text = "";
    for await (const piece of streamed.textStream) text += piece;
    expect(text).toBe("Hallo Welt");
    expect(await streamed.finishReason).toBe("stop");
  });
});

describe("a client that leaves", () => {
  it("stops the engine's generator, streamed or not", async () => {
    for (const stream of [true, false]) {
      const watch: { yielded?: number; returned?: boolean } = {};
      const { url } = await serve({
        models: { bytes: byteEngine(repeating(104, watch), { contextTokens: 10_000_000 }) },
      });
      const controller = new AbortController();
      const body = JSON.stringify({ model: "bytes", messages: hello, stream });
      const request = fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: json,
        body,
        signal: controller.signal,
      });
      if (stream) await (await request).body!.getReader().read();
      else await until(() => (watch.yielded ?? 0) > 10, "the engine to run");
      controller.abort();
      await request.catch(() => {});
      await until(() => watch.returned === true, "the generator to end");
    }
  });
});

describe("a deadline", () => {
  it("ends a request with 504, or with an error event, even on an engine that heeds no signal", async () => {
    const stuck = (after: number) =>
      byteEngine(async function* () {
        for (let i = 0; i < after; i++) yield { ids: [104] };
        await new Promise(() => {});
      });
    const { url, server } = await serve({
      models: { before: stuck(0), after: stuck(2) },
      limits: { requestMs: 200 },
    });
    const ask = (model: string): Promise<Response> =>
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: json,
        body: JSON.stringify({ model, messages: hello, stream: true }),
      });
    expect((await ask("before")).status).toBe(504);
    const text = await (await ask("after")).text();
    expect(text).toContain('"content":"h"');
    expect(text).toContain('"code":"deadline_exceeded"');
    expect(text).not.toContain("[DONE]");
    expect(server.activeRequests).toBe(0);
  });
});

describe("response_format", () => {
  const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };

  it("reaches an engine that can hold its output to a schema, and is refused for one that cannot", async () => {
    const grammars: unknown[] = [];
    const able = byteEngine(
      async function* (request, options) {
        grammars.push(request.grammar);
        yield* saying('{"a":1}')(request, options);
      },
      { card: { grammars: ["jsonSchema"] } },
    );
    const { client } = await serve({ models: { able, unable: byteEngine(saying("{}")) } });
    const ask = (
      model: string,
      format: OpenAI.ChatCompletionCreateParams["response_format"],
    ): Promise<string | null> =>
      client.chat.completions
        .create({ model, messages: hello, response_format: format! })
        .then(({ choices }) => choices[0]!.message.content);
    expect(await ask("able", { type: "json_schema", json_schema: { name: "a", schema } })).toBe('{"a":1}');
    expect(await ask("able", { type: "json_object" })).toBe('{"a":1}');
    await ask("able", { type: "text" });
    expect(grammars).toEqual([
      { kind: "jsonSchema", source: JSON.stringify(schema) },
      { kind: "jsonSchema", source: '{"type":"object"}' },
      undefined,
    ]);
    await expect(ask("unable", { type: "json_object" })).rejects.toMatchObject({
      status: 400,
      param: "response_format",
      code: "unsupported_parameter",
    });
    await expect(ask("able", { type: "json_schema" } as never)).rejects.toMatchObject({ status: 400 });
  });
});

describe("a page of another origin", () => {
  const preflight = (url: string, origin: string): Promise<Response> =>
    fetch(`${url}/v1/chat/completions`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-mine",
      },
    });

  it("may call when its origin is allowed, and hears nothing of CORS when it is not", async () => {
    const models = { bytes: byteEngine(saying("ok")) };
    const { url } = await serve({ models, corsOrigins: ["https://chat.example"] });
    const allowed = await preflight(url, "https://chat.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://chat.example");
    expect(allowed.headers.get("access-control-allow-headers")).toContain("x-mine");
    expect((await preflight(url, "https://evil.example")).status).toBe(405);
    const ask = (origin: string): Promise<Response> =>
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { ...json, origin },
        body: JSON.stringify({ model: "bytes", messages: hello, stream: true }),
      });
    const answer = await ask("https://chat.example");
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://chat.example");
    expect(await answer.text()).toContain("[DONE]");
    expect((await ask("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
    const wrong = await fetch(`${url}/v1/nothing`, { headers: { origin: "https://chat.example" } });
    expect(wrong.headers.get("access-control-allow-origin")).toBe("https://chat.example");
    const { url: open } = await serve({ models, corsOrigins: "*" });
    expect((await preflight(open, "null")).headers.get("access-control-allow-origin")).toBe("*");
    const { url: closed } = await serve({ models });
    expect((await preflight(closed, "https://chat.example")).status).toBe(405);
  });

  it("is named by its origin alone", () => {
    const options = { models: {}, corsOrigins: ["https://chat.example/app"] };
    expect(() => createOpenAIServer(options)).toThrow(/corsOrigins/);
  });
});

describe("a long silence", () => {
  it("is filled with comments that clients skip, before the first token and after", async () => {
    let first: () => void = () => {};
    let second: () => void = () => {};
    const engine = byteEngine(async function* () {
      await new Promise<void>((resolve) => (first = resolve));
      yield { ids: [104] };
      await new Promise<void>((resolve) => (second = resolve));
      yield { ids: [105, byteTokenizer().eos] };
    });
    const { url } = await serve({ models: { bytes: engine }, keepAliveMs: 10 });
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ model: "bytes", messages: hello, stream: true }),
    });
    expect(response.status).toBe(200);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk);
      const parts = text.split('"content":"h"');
      if (parts[0]!.includes(": keep-alive\n\n")) first();
      if (parts[1]?.includes(": keep-alive\n\n")) second();
    }
    expect(text).toContain("[DONE]");
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const stream = await client.chat.completions.create({ model: "bytes", messages: hello, stream: true });
    const timer = setInterval(() => (first(), second()), 30);
    let said = "";
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
    clearInterval(timer);
    expect(said).toBe("hi");
  });
});

describe("starting", () => {
  it("is ready once every model has a worker; a request that came before waits for it", async () => {
    const later = byteEngine(saying("ok"));
    let isThere = false;
    const engine: Engine = {
      get card() {
        return isThere ? later.card : undefined;
      },
      artifact: later.artifact!,
      generate: (request, options) => later.generate(request, options),
    };
    const { client, server, url } = await serve({ models: { bytes: engine } });
    expect(await server.ready(1)).toEqual(["bytes"]);
    expect((await fetch(`${url}/health`)).status).toBe(503);
    const ready = server.ready();
    const early = client.chat.completions.create({ model: "bytes", messages: hello });
    await until(() => server.activeRequests === 1, "the early request");
    isThere = true;
    expect(await ready).toEqual([]);
    expect((await early).choices[0]!.message.content).toBe("ok");
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });
});

describe("draining", () => {
  it("refuses new generations, is not ready but live, and ends when the running ones have", async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const engine = byteEngine(async function* () {
      yield { ids: [104] };
      await gate;
      yield { ids: [105, byteTokenizer().eos] };
    });
    const { client, server, url } = await serve({ models: { bytes: engine } });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const stream = await client.chat.completions.create({ model: "bytes", messages: hello, stream: true });
    const drained = server.drain();
    expect((await fetch(`${url}/health`)).status).toBe(503);
    expect((await fetch(`${url}/live`)).status).toBe(200);
    await expect(client.chat.completions.create({ model: "bytes", messages: hello })).rejects.toMatchObject({
      status: 503,
      code: "draining",
    });
    release();
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe("hi");
    await drained;
    expect(server.activeRequests).toBe(0);
  });
});

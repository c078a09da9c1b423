import { connect, type Socket } from "node:net";
import type { RequestEvent } from "@stator/core";
import fastify from "fastify";
import fc from "fast-check";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { byteEngine, echo, repeating, saying, until } from "../../test/kit.ts";
import { openAIPlugin } from "../fastify/index.ts";
import type { RequestFacts } from "../openai/openai-options.ts";
import { createOpenAIHandler } from "./openai-handler.ts";
import { createOpenAIServer, type OpenAIServerOptions } from "./openai-server.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

async function serve(options: OpenAIServerOptions): Promise<{ url: string; port: number }> {
  const server = createOpenAIServer(options);
  ends.push(() => server.close());
  return server.listen({ port: 0 });
}

const json = { "content-type": "application/json" };
const completion = (fields: object): RequestInit => ({
  method: "POST",
  headers: json,
  body: JSON.stringify({ model: "m", prompt: "x", stream: true, max_tokens: 4000, ...fields }),
});

/** An event-stream reader by the WHATWG rules: line ends are CR, LF or CRLF; a blank line ends an event. */
function events(stream: string): string[] {
  return stream
    .split(/\r\n\r\n|\n\n|\r\r/)
    .filter((block) => block !== "")
    .map((block) => {
      const lines = block.split(/\r\n|\n|\r/);
      for (const line of lines) expect(line.startsWith("data: ")).toBe(true);
      return lines.map((line) => line.slice(6)).join("\n");
    });
}

describe("an event stream", () => {
  it("carries any text unharmed, one event per token: events in, events out", async () => {
    let said: readonly string[] = [];
    const engine = byteEngine(
      async function* () {
        for (const piece of said) yield { ids: [...new TextEncoder().encode(piece)] };
      },
      { contextTokens: 100_000 },
    );
    const { url } = await serve({ models: { m: engine } });
    const nasty = fc.constantFrom(
      "\n\ndata: [DONE]\n\n",
      "\r",
      "\r\n",
      "\u2028",
      "\u2029",
      "\u0085",
      ": comment",
      "event: x\n",
      '"}]}',
      "\\",
      "\u0000",
      "\u{1F30D}",
      "id: 1\n\n",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(nasty, fc.string({ unit: "binary", maxLength: 5 })), {
          minLength: 1,
          maxLength: 12,
        }),
        async (pieces) => {
          said = pieces;
          const text = pieces.join("");
          const response = await fetch(`${url}/v1/completions`, completion({}));
          const body = await response.text();
          expect(body.split(/[\u2028\u2029\u0085]/)).toHaveLength(1);
          const got = events(body);
          expect(got.at(-1)).toBe("[DONE]");
          const chunks = got
            .slice(0, -1)
            .map((data) => JSON.parse(data) as { choices: { text: string; finish_reason: string | null }[] });
          expect(chunks.map((chunk) => chunk.choices[0]!.text).join("")).toBe(text);
          expect(chunks.filter((chunk) => chunk.choices[0]!.finish_reason !== null)).toHaveLength(1);
          expect(chunks.length - 1).toBe([...text].length);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("is not made for a client that does not read: the engine waits, little is buffered, the connection is cut", async () => {
    const watch: { yielded?: number; returned?: boolean } = {};
    const { port } = await serve({
      models: { m: byteEngine(repeating(104, watch), { contextTokens: 100_000_000 }) },
      connections: { blockedMs: 1500 },
    });
    const socket = await open(
      port,
      JSON.stringify({ model: "m", prompt: "x", stream: true, max_tokens: 50_000_000 }),
    );
    socket.pause();
    let last = -1;
    await until(() => {
      const isStill = watch.yielded === last && last > 0;
      last = watch.yielded ?? 0;
      return isStill;
    }, "the engine to wait");
    const before = process.memoryUsage().rss;
    expect(watch.returned).toBeUndefined();
    await until(() => watch.returned === true, "the connection to be cut");
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    socket.destroy();
  });

  it("goes on where it was when a slow client reads again", async () => {
    const count = 60_000;
    const { port } = await serve({ models: { m: byteEngine(repeating(104), { contextTokens: 1_000_000 }) } });
    const socket = await open(
      port,
      JSON.stringify({ model: "m", prompt: "x", stream: true, max_tokens: count }),
    );
    let text = "";
    socket.setEncoding("latin1");
    await new Promise<void>((resolve) => {
      socket.on("data", (chunk: string) => {
        text += chunk;
        socket.pause();
        setImmediate(() => socket.resume());
        if (chunk.includes("[DONE]")) resolve();
      });
    });
    expect(text.split('"text":"h"').length - 1).toBe(count);
    socket.destroy();
  });

  it("lets other streams and requests through while one engine is always ready", async () => {
    const busy = byteEngine(
      async function* (request, { signal }) {
        for (let i = 0; i < request.limits.maxTokens && !signal.aborted; i++) yield { ids: [104] };
      },
      { contextTokens: 100_000_000 },
    );
    const { url } = await serve({ models: { m: busy } });
    const controller = new AbortController();
    const stream = await fetch(`${url}/v1/completions`, {
      ...completion({ max_tokens: 90_000_000 }),
      signal: controller.signal,
    });
    const reader = stream.body!.getReader();
    const drained = (async () => {
      for (;;) if ((await reader.read()).done) return;
    })().catch(() => {});
    expect((await fetch(`${url}/live`)).status).toBe(200);
    controller.abort();
    await drained;
  });
});

function open(port: number, body: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      resolve(socket);
    });
    socket.on("error", () => {});
  });
}

describe("large requests", () => {
  it("pass through the thread: bodies beyond 1 MiB, texts beyond 64 KiB, token lists", async () => {
    const { url } = await serve({ models: { m: byteEngine(echo, { contextTokens: 2_000_000 }) } });
    const prompt = "The rain. ".repeat(150_000);
    const ask = async (
      fields: object,
    ): Promise<{ usage: { prompt_tokens: number }; choices: { text: string }[] }> =>
      (await (
        await fetch(`${url}/v1/completions`, completion({ stream: false, max_tokens: 4, ...fields }))
      ).json()) as never;
    const long = await ask({ prompt });
    expect(long.usage.prompt_tokens).toBeGreaterThan(1_000_000);
    expect(long.choices[0]!.text).toMatch(/^The/);
    const ids = await ask({ prompt: [Array.from({ length: 400_000 }, () => 104), [105]] });
    expect(ids.choices.map((choice) => choice.text)).toEqual(["hhhh", "i"]);
  });
});

describe("the Fetch handler", () => {
  const handler = createOpenAIHandler({ models: { m: byteEngine(saying("Hallo 🌍")) } });
  const request = (path: string, init?: RequestInit): Promise<Response> =>
    handler(new Request(`http://host${path}`, init));

  it("answers whole and streamed", async () => {
    const whole = await request("/v1/completions", completion({ stream: false }));
    expect(((await whole.json()) as { choices: { text: string }[] }).choices[0]!.text).toBe("Hallo 🌍");
    const streamed = await request("/v1/completions", completion({}));
    expect(streamed.headers.get("content-type")).toContain("text/event-stream");
    const got = events(await streamed.text());
    expect(
      got
        .slice(0, -1)
        .map((data) => (JSON.parse(data) as { choices: { text: string }[] }).choices[0]!.text)
        .join(""),
    ).toBe("Hallo 🌍");
    expect((await request("/v1/completions", { method: "POST", headers: json, body: "x" })).status).toBe(400);
    expect((await request("/v1/models")).status).toBe(200);
  });

  it("stops the engine when the reader cancels, and waits for a reader that is slow", async () => {
    const watch: { yielded?: number; returned?: boolean } = {};
    const endless = createOpenAIHandler({
      models: { m: byteEngine(repeating(104, watch), { contextTokens: 100_000_000 }) },
    });
    const response = await endless(
      new Request("http://host/v1/completions", completion({ max_tokens: 90_000_000 })),
    );
    const reader = response.body!.getReader();
    await reader.read();
    let last = -1;
    await until(() => {
      const isStill = watch.yielded === last;
      last = watch.yielded ?? 0;
      return isStill;
    }, "the engine to wait");
    await reader.cancel();
    await until(() => watch.returned === true, "the generator to end");
  });
});

describe("the fastify plugin", () => {
  it("serves the API under a prefix, behind the app's hooks, beside the app's own routes", async () => {
    const app = fastify();
    await app.register(openAIPlugin, { prefix: "/ai", models: { m: byteEngine(saying("hi")) } });
    app.post("/own", (request) => ({ got: request.body }));
    app.addHook("onRequest", async (request, reply) => {
      if (request.headers.authorization !== "Bearer key") await reply.code(401).send({ error: "no" });
    });
    ends.push(() => app.close());
    const url = await app.listen({ port: 0 });
    const client = new OpenAI({ baseURL: `${url}/ai/v1`, apiKey: "key" });
    let text = "";
    for await (const chunk of await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content: "x" }],
      stream: true,
    })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    expect(text).toBe("hi");
    expect((await fetch(`${url}/ai/v1/models`)).status).toBe(401);
    expect((await fetch(`${url}/ai/health`, { headers: { authorization: "Bearer key" } })).status).toBe(200);
    const own = await fetch(`${url}/own`, {
      method: "POST",
      body: '{"a":1}',
      headers: { ...json, authorization: "Bearer key" },
    });
    expect(await own.json()).toEqual({ got: { a: 1 } });
  });
});

describe("what else is mounted", () => {
  it("measures requests, tells observers, exposes metrics, serves routes of the user's own", async () => {
    const facts: RequestFacts[] = [];
    const outcomes: unknown[] = [];
    const measured: RequestEvent[] = [];
    const observed: RequestEvent[] = [];
    const { url } = await serve({
      models: { m: byteEngine(saying("hi"), { contextTokens: 100 }) },
      metrics: {
        contentType: "text/plain; version=0.0.4",
        expose: () => Promise.resolve("up 1\n"),
        startRequest: (given) => {
          facts.push(given);
          return { onEvent: (event) => measured.push(event), end: (outcome) => outcomes.push(outcome) };
        },
      },
      observers: [(event) => observed.push(event)],
      routes: {
        "/console": (_request, response) => void response.end("page"),
        "/broken": () => Promise.reject(new Error("oops")),
      },
    });
    await (await fetch(`${url}/v1/completions`, completion({ n: 2, max_tokens: 10 }))).text();
    await (await fetch(`${url}/v1/completions`, completion({ max_tokens: 1000 }))).text();
    expect(facts).toEqual([
      expect.objectContaining({ model: "m", endpoint: "completions", stream: true, choices: 2 }),
      expect.objectContaining({ choices: 1 }),
    ]);
    expect(outcomes).toEqual([
      { status: "success" },
      { status: "error", errorType: "context_length_exceeded", isClientError: true },
    ]);
    expect(measured).toEqual(observed);
    expect(observed.filter((event) => event.type === "finished").map((event) => event.choice)).toEqual([
      0, 1,
    ]);
    const metrics = await fetch(`${url}/metrics`);
    expect([metrics.headers.get("content-type"), await metrics.text()]).toEqual([
      "text/plain; version=0.0.4",
      "up 1\n",
    ]);
    expect(await (await fetch(`${url}/console/app.js`)).text()).toBe("page");
    expect((await fetch(`${url}/broken`)).status).toBe(500);
    expect((await fetch(`${url}/consoles`)).status).toBe(404);
  });

  it.each([true, false])(
    "says in a header how a request was routed, when asked to: stream %s",
    async (stream) => {
      const engine = byteEngine(async function* (request, { onEvent }) {
        onEvent?.({
          type: "routed",
          atMs: 0,
          requestId: request.id,
          choice: 0,
          attempt: 0,
          phase: "full",
          worker: "wörker",
          rank: 0,
          cachedTokens: 16,
          promptTokens: 32,
          costMs: 1.23456,
          policy: "kvAware",
          decisionMs: 0.01,
          candidates: Array.from({ length: 20 }, (_, i) => ({
            worker: `w${i}`,
            rank: 0,
            cachedTokens: 0,
            costMs: 20 - i,
            terms: { queue: 1 },
          })),
          reason: "lowest cost",
        });
        yield { ids: [33] };
      });
      const ask = async (explain: boolean): Promise<string | null> => {
        const { url } = await serve({ models: { m: engine }, explain });
        const response = await fetch(`${url}/v1/completions`, completion({ max_tokens: 4, stream }));
        await response.text();
        return response.headers.get("x-stator-decision");
      };
      const [decision] = JSON.parse((await ask(true)) ?? "[]") as Record<string, unknown>[];
      expect(decision).toMatchObject({
        worker: "wörker",
        costMs: 1.235,
        reason: "lowest cost",
        cachedTokens: 16,
      });
      expect((decision!["candidates"] as { worker: string }[]).map(({ worker }) => worker)[0]).toBe("w19");
      expect(await ask(false)).toBeNull();
    },
  );

  it("passes a valid traceparent on and drops an invalid one", async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await serve({
      models: {
        m: byteEngine(async function* (request) {
          seen.push(request.traceparent);
          yield { ids: [33] };
        }),
      },
    });
    const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (const traceparent of [valid, "00-xyz"]) {
      await (
        await fetch(`${url}/v1/completions`, { ...completion({}), headers: { ...json, traceparent } })
      ).text();
    }
    expect(seen).toEqual([valid, undefined]);
  });

  it("answers overload with 503 or the status of choice, and how long to wait", async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const engine = byteEngine(async function* () {
      await gate;
      yield { ids: [33] };
    });
    const outcomes: unknown[] = [];
    const { url } = await serve({
      models: { m: engine },
      limits: { activeRequests: 1 },
      overloadStatus: 529,
      metrics: {
        contentType: "text/plain",
        expose: () => Promise.resolve(""),
        startRequest: ({ model }) => ({
          onEvent: () => {},
          end: (outcome) => outcomes.push({ model, ...outcome }),
        }),
      },
    });
    const first = fetch(`${url}/v1/completions`, completion({}));
    let status = 0;
    let retryAfter: string | null = null;
    while (status !== 529) {
      const second = await fetch(`${url}/v1/completions`, completion({ model: "none" }));
      status = second.status;
      retryAfter = second.headers.get("retry-after");
    }
    expect(retryAfter).toBe("1");
    expect(outcomes).toContainEqual({ model: "unknown", status: "rejected", errorType: "overloaded" });
    release();
    expect((await first).status).toBe(200);
  });

  it("holds no more body bytes than it may, and all of them again once they are let go", async () => {
    const { url } = await serve({ models: { m: byteEngine(saying("hi")) }, limits: { heldBodyBytes: 2000 } });
    const large = await fetch(
      `${url}/v1/completions`,
      completion({ user: "x".repeat(500), metadata: "y".repeat(2000) }),
    );
    expect(large.status).toBe(503);
    for (let i = 0; i < 5; i++)
      expect((await fetch(`${url}/v1/completions`, completion({ user: "x".repeat(500) }))).status).toBe(200);
  });

  it("refuses connections beyond its limit with 503 and serves again when some have left", async () => {
    const { url, port } = await serve({ models: {}, connections: { total: 2 } });
    const idle = await Promise.all([connected(port), connected(port)]);
    const surplus = await connected(port);
    let reply = "";
    surplus.setEncoding("latin1").on("data", (text: string) => (reply += text));
    await until(() => reply.includes("503"), "the refusal");
    for (const socket of idle) socket.destroy();
    for (;;) {
      const response = await fetch(`${url}/live`, { headers: { connection: "close" } }).catch(
        () => undefined,
      );
      if (response?.status === 200) break;
    }
  });
});

function connected(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", () => {});
  });
}

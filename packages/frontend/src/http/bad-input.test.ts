import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byteEngine, echo, until } from "../../test/kit.ts";
import { createOpenAIServer, type OpenAIServer } from "./openai-server.ts";

// The HTTP rows of the bad-input catalogue: each gets a clear 4xx that names the fault, and the server goes on.

let server: OpenAIServer;
let url = "";
let port = 0;

beforeAll(async () => {
  server = createOpenAIServer({
    models: { m: byteEngine(echo, { contextTokens: 512 }) },
    limits: { bodyBytes: 256 * 1024, inlineParseBytes: 1024 * 1024 },
    connections: { headersMs: 1000, requestMs: 1500, idleMs: 1000 },
  });
  ({ url, port } = await server.listen({ port: 0 }));
});
afterAll(async () => {
  const alive = await post("/v1/completions", JSON.stringify({ model: "m", prompt: "still here" }));
  expect(alive.status).toBe(200);
  await server.close();
});

const messages = '"messages":[{"role":"user","content":"hi"}]';
const chat = (fields: string): string => `{"model":"m",${messages}${fields === "" ? "" : `,${fields}`}}`;
const many = (count: number, item: string): string => Array.from({ length: count }, () => item).join(",");

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly error: { message: string; type: string; param: string | null; code: string };
}

async function post(
  path: string,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await fetch(url + path, {
    method: "POST",
    body: body as string,
    headers: { "content-type": "application/json", ...headers },
  });
  const parsed = (await response.json()) as { error?: Reply["error"] };
  return {
    status: response.status,
    headers: response.headers,
    error: parsed.error ?? { message: "", type: "", param: null, code: "" },
  };
}

/** [what, body, param or undefined, code] on /v1/chat/completions, all 400. */
const badChats: readonly (readonly [string, string | Uint8Array, string | null, string])[] = [
  ["no JSON", "hello", null, "invalid_json"],
  ["truncated JSON", chat("").slice(0, -1), null, "invalid_json"],
  ["a byte order mark", `\uFEFF${chat("")}`, null, "invalid_json"],
  ["comments", chat('"n":1 /* one */'), null, "invalid_json"],
  ["trailing bytes", `${chat("")} {}`, null, "invalid_json"],
  ["a key twice", chat('"n":1,"n":2'), null, "invalid_json"],
  ["an array", "[]", null, "invalid_json"],
  ["null", "null", null, "invalid_json"],
  ["a depth bomb", chat(`"x":${"[".repeat(10_000)}`), null, "json_too_deep"],
  [
    "invalid UTF-8",
    Uint8Array.from([...new TextEncoder().encode('{"model":"'), 0xff, 0x22, 0x7d]),
    null,
    "invalid_json",
  ],
  [
    "10,000 keys",
    `{${Array.from({ length: 10_000 }, (_, i) => `"k${i}":1`).join(",")}}`,
    null,
    "invalid_json",
  ],
  [
    "5,000 messages",
    `{"model":"m","messages":[${many(5000, '{"role":"user","content":"x"}')}]}`,
    "messages",
    "invalid_value",
  ],
  ["2,000 tools", chat(`"tools":[${many(2000, "{}")}]`), "tools", "invalid_value"],
  ["33 stops", chat(`"stop":[${many(33, '"x"')}]`), "stop", "invalid_value"],
  ["an empty stop", chat('"stop":""'), "stop", "invalid_value"],
  [
    "metadata of 17",
    chat(`"metadata":{${Array.from({ length: 17 }, (_, i) => `"k${i}":"v"`).join(",")}}`),
    "metadata",
    "invalid_value",
  ],
  ["metadata of 513 characters", chat(`"metadata":{"k":"${"v".repeat(513)}"}`), "metadata", "invalid_value"],
  ["no model", `{${messages}}`, "model", "invalid_value"],
  ["no messages", '{"model":"m"}', "messages", "invalid_value"],
  ["empty messages", '{"model":"m","messages":[]}', "messages", "invalid_value"],
  [
    "a role that does not exist",
    '{"model":"m","messages":[{"role":"root","content":"x"}]}',
    "messages[0].role",
    "invalid_value",
  ],
  [
    "a message without content",
    '{"model":"m","messages":[{"role":"user"}]}',
    "messages[0].content",
    "invalid_value",
  ],
  [
    "an image URL",
    '{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]}]}',
    "messages[0].content[0]",
    "unsupported_parameter",
  ],
  ["temperature NaN", chat('"temperature":NaN'), null, "invalid_json"],
  ["temperature 1e999", chat('"temperature":1e999'), "temperature", "invalid_value"],
  ["temperature -0", chat('"temperature":-0'), "temperature", "invalid_value"],
  ["temperature as text", chat('"temperature":"1"'), "temperature", "invalid_value"],
  ["temperature -1", chat('"temperature":-1'), "temperature", "invalid_value"],
  ["temperature 3", chat('"temperature":3'), "temperature", "invalid_value"],
  ["top_p 0", chat('"top_p":0'), "top_p", "invalid_value"],
  ["top_p 2", chat('"top_p":2'), "top_p", "invalid_value"],
  ["top_k -2", chat('"top_k":-2'), "top_k", "invalid_value"],
  ["min_p 2", chat('"min_p":2'), "min_p", "invalid_value"],
  ["presence_penalty 3", chat('"presence_penalty":3'), "presence_penalty", "invalid_value"],
  ["frequency_penalty -3", chat('"frequency_penalty":-3'), "frequency_penalty", "invalid_value"],
  ["top_logprobs 21", chat('"logprobs":true,"top_logprobs":21'), "top_logprobs", "invalid_value"],
  ["top_logprobs without logprobs", chat('"top_logprobs":2'), "top_logprobs", "invalid_value"],
  ["n 0", chat('"n":0'), "n", "invalid_value"],
  ["n 129", chat('"n":129'), "n", "invalid_value"],
  ["max_tokens -1", chat('"max_tokens":-1'), "max_tokens", "invalid_value"],
  ["max_tokens 0", chat('"max_tokens":0'), "max_tokens", "invalid_value"],
  ["max_tokens 1.5", chat('"max_tokens":1.5'), "max_tokens", "invalid_value"],
  ["max_tokens 2^63", chat('"max_tokens":9223372036854775808'), "max_tokens", "invalid_value"],
  ["max_completion_tokens 0", chat('"max_completion_tokens":0'), "max_completion_tokens", "invalid_value"],
  ["a seed of 65 bits", chat('"seed":18446744073709551616'), "seed", "invalid_value"],
  ["a seed of 1.5", chat('"seed":1.5'), "seed", "invalid_value"],
  ["logit_bias of 101", chat('"logit_bias":{"1":101}'), "logit_bias", "invalid_value"],
  ["logit_bias by word", chat('"logit_bias":{"the":1}'), "logit_bias", "invalid_value"],
  ["logit_bias beyond the vocabulary", chat('"logit_bias":{"99999":1}'), "logit_bias", "invalid_value"],
  [
    "stream_options without stream",
    chat('"stream_options":{"include_usage":true}'),
    "stream_options",
    "invalid_value",
  ],
  ["stream as text", chat('"stream":"yes"'), "stream", "invalid_value"],
  [
    "a schema bomb",
    chat('"response_format":{"type":"json_schema","json_schema":{"schema":{"$ref":"#"}}}'),
    "response_format",
    "unsupported_parameter",
  ],
  [
    "a forced tool",
    chat('"tool_choice":"required","tools":[{"type":"function","function":{"name":"a"}}]'),
    "tool_choice",
    "unsupported_parameter",
  ],
  ["a forced tool of none", chat('"tool_choice":"required"'), "tool_choice", "invalid_value"],
  ["a tool choice of another kind", chat('"tool_choice":{"function":{}}'), "tool_choice", "invalid_value"],
  [
    "a prompt beyond the context",
    `{"model":"m","messages":[{"role":"user","content":"${"x".repeat(600)}"}]}`,
    "messages",
    "context_length_exceeded",
  ],
  [
    "a prompt that cannot fit",
    `{"model":"m","messages":[{"role":"user","content":"${"x".repeat(200_000)}"}]}`,
    "messages",
    "context_length_exceeded",
  ],
  ["max_tokens beyond the context", chat('"max_tokens":512'), "messages", "context_length_exceeded"],
];

/** The same on /v1/completions. */
const badCompletions: readonly (readonly [string, string, string | null, string])[] = [
  ["no prompt", '{"model":"m"}', "prompt", "invalid_value"],
  ["an empty prompt", '{"model":"m","prompt":""}', "prompt", "invalid_value"],
  ["an empty list", '{"model":"m","prompt":[]}', "prompt", "invalid_value"],
  ["a number", '{"model":"m","prompt":5}', "prompt", "invalid_value"],
  ["mixed lists", '{"model":"m","prompt":[1,"a"]}', "prompt[1]", "invalid_value"],
  ["a negative id", '{"model":"m","prompt":[1,-1]}', "prompt[1]", "invalid_value"],
  ["an id of 1.5", '{"model":"m","prompt":[[1.5]]}', "prompt[0][0]", "invalid_value"],
  ["an id beyond the vocabulary", '{"model":"m","prompt":[99999]}', "prompt", "invalid_value"],
  ["an id beyond 32 bits", '{"model":"m","prompt":[4294967296]}', "prompt[0]", "invalid_value"],
  ["129 prompts", `{"model":"m","prompt":[${many(129, '"a"')}]}`, "prompt", "invalid_value"],
  ["prompts times n", '{"model":"m","prompt":["a","b"],"n":100}', "prompt", "invalid_value"],
  ["echo", '{"model":"m","prompt":"a","echo":true}', "echo", "unsupported_parameter"],
  ["best_of", '{"model":"m","prompt":"a","best_of":2}', "best_of", "unsupported_parameter"],
  ["logprobs 21", '{"model":"m","prompt":"a","logprobs":21}', "logprobs", "invalid_value"],
];

describe("a bad body", () => {
  const check = async (
    path: string,
    body: string | Uint8Array,
    param: string | null,
    code: string,
  ): Promise<void> => {
    const { status, error, headers } = await post(path, body);
    expect({ status, param: error.param, code: error.code, type: error.type }).toEqual({
      status: 400,
      param,
      code,
      type: "invalid_request_error",
    });
    if (param !== null && code === "invalid_value") expect(error.message).toContain(param);
    expect(headers.get("x-request-id")).toMatch(/./);
  };
  it.each(badChats)("of a chat: %s", (_what, body, param, code) =>
    check("/v1/chat/completions", body, param, code),
  );
  it.each(badCompletions)("of a completion: %s", (_what, body, param, code) =>
    check("/v1/completions", body, param, code),
  );

  it("that is too large is 413, told by its length or found out", async () => {
    const large = chat(`"user":"${"x".repeat(300_000)}"`);
    expect(
      await post("/v1/chat/completions", large).then((reply) => [reply.status, reply.error.code]),
    ).toEqual([413, "request_too_large"]);
    const chunk = "x".repeat(65_536);
    const chunked = `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${`10000\r\n${chunk}\r\n`.repeat(8)}`;
    const reply = await raw(chunked);
    expect(reply).toMatch(/^HTTP\/1\.1 413 /);
    expect(reply.toLowerCase()).toContain("connection: close");
  });

  it("that is far too large gets its answer read before the connection ends, though most of it is still to come", async () => {
    const bytes = 16 * 1024 * 1024;
    const reply = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk) => (text += String(chunk)));
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
      );
      socket.end(Buffer.alloc(bytes, "x"));
    });
    expect(reply).toMatch(/^HTTP\/1\.1 413 /);
    expect(reply).toContain("request_too_large");
  });

  it("is 415 when it is not JSON or compressed", async () => {
    expect((await post("/v1/chat/completions", chat(""), { "content-type": "text/plain" })).status).toBe(415);
    const bomb = gzipSync(Buffer.alloc(10_000_000, 32));
    expect((await post("/v1/chat/completions", bomb, { "content-encoding": "gzip" })).status).toBe(415);
  });
});

describe("what is odd but right", () => {
  it("goes through: surrogates, NUL, bidi, __proto__, nulls, unknown fields, a seed of 64 bits", async () => {
    for (const body of [
      '{"model":"m","messages":[{"role":"user","content":"\\ud800 \\u0000 \\u202e"}]}',
      chat('"__proto__":{"stream":true},"constructor":1,"toString":"x"'),
      chat('"temperature":null,"stop":null,"tools":null,"seed":null'),
      chat('"store":true,"service_tier":"auto","cache_salt":"mine","parallel_tool_calls":false'),
      chat('"seed":18446744073709551615'),
      chat('"metadata":{"__proto__":"x","constructor":"y"}'),
    ]) {
      expect((await post("/v1/chat/completions", body)).status, body).toBe(200);
    }
    expect(({} as { stream?: boolean }).stream).toBeUndefined();
  });
});

describe("a bad request line or header", () => {
  it.each(["none", "../../etc/passwd", "%2e%2e", "a*>\\n b", "x".repeat(10_000), "__proto__", "toString"])(
    "names a model that is not there: %s",
    async (name) => {
      const { status, error } = await post("/v1/completions", JSON.stringify({ model: name, prompt: "a" }));
      expect([status, error.code, error.type]).toEqual([404, "model_not_found", "not_found_error"]);
      expect(error.message.length).toBeLessThan(250);
      expect((await fetch(`${url}/v1/models/${encodeURIComponent(name)}`)).status).toBe(404);
    },
  );

  it("is 404 or 405 for other routes and methods", async () => {
    const status = async (method: string, path: string): Promise<number> =>
      (await fetch(url + path, { method })).status;
    expect(await status("GET", "/v1/chat/completions")).toBe(405);
    expect(await status("DELETE", "/v1/completions")).toBe(405);
    expect(await status("POST", "/health")).toBe(405);
    expect(await status("POST", "/v1/embeddings")).toBe(404);
    expect(await status("GET", "/")).toBe(404);
    expect(await status("GET", "/metrics")).toBe(404);
    expect(await status("GET", "/v1/models?x=1")).toBe(200);
  });

  it.each([
    ["headers of 17 KB", `GET /live HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(17 * 1024)}\r\n\r\n`, 431],
    ["3,000 headers", `GET /live HTTP/1.1\r\nhost: a\r\n${"a:b\r\n".repeat(3000)}\r\n`, 431],
    ["200 headers", `GET /live HTTP/1.1\r\nhost: a\r\n${"a:b\r\n".repeat(200)}\r\n`, 431],
    [
      "both length and chunks",
      "POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    [
      "two lengths",
      "POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
      400,
    ],
    ["an absolute target", "GET http://other/v1/models HTTP/1.1\r\nhost: a\r\n\r\n", 400],
    ["bare line feeds", "GET /live HTTP/1.1\nhost: a\n\n", 400],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ])("is refused and the connection closed: %s", async (_what, request, status) => {
    const reply = await raw(request);
    expect(reply).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(reply).toContain('"error":{');
  });

  it("is 408 when it never ends: slow headers, slow body", async () => {
    const headers = raw("GET /live HTTP/1.1\r\nhost: a\r\n");
    const body = raw(
      'POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"model"',
    );
    expect(await headers).toMatch(/^HTTP\/1\.1 408 /);
    expect(await body).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("brings its own request id back only when that is harmless", async () => {
    const id = async (given: string): Promise<string | null> =>
      (await fetch(`${url}/live`, { headers: { "x-request-id": given } })).headers.get("x-request-id");
    expect(await id("abc-123")).toBe("abc-123");
    expect(await id("a b<script>")).not.toContain("script");
    expect(await id("x".repeat(500))).toHaveLength(36);
  });
});

describe("many bodies", () => {
  it("mutated at random are never a 5xx and leave the server well", async () => {
    const seeds = [
      chat('"temperature":0.5,"stop":["a"],"n":2,"max_tokens":3'),
      '{"model":"m","prompt":[[1,2,3],[4]],"max_tokens":2,"logprobs":1}',
    ].map((text) => new TextEncoder().encode(text));
    const edit = fc.record({
      at: fc.nat(200),
      byte: fc.nat(255),
      kind: fc.constantFrom("set", "insert", "remove", "repeat"),
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 4 }), async (seed, edits) => {
        const bytes = [...seed];
        for (const { at, byte, kind } of edits) {
          const place = at % bytes.length;
          if (kind === "set") bytes[place] = byte;
          else if (kind === "insert") bytes.splice(place, 0, byte);
          else if (kind === "remove") bytes.splice(place, 1);
          else bytes.splice(place, 0, ...bytes.slice(place, place + 20));
        }
        const path = seed === seeds[0] ? "/v1/chat/completions" : "/v1/completions";
        const { status } = await post(path, Uint8Array.from(bytes));
        expect(status).toBeLessThan(500);
      }),
      { numRuns: 600 },
    );
    await until(() => server.activeRequests === 0, "all requests to end");
  });
});

/** Sends bytes as they are and returns all that comes back until the server closes or a reply is complete. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    let reply = "";
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => (reply += text));
    socket.on("error", () => {});
    socket.on("close", () => resolve(reply));
  });
}

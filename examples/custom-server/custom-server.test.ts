import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { createApp } from "./fastify.ts";
import { app as hono } from "./hono.ts";
import { GET, POST } from "./next-route.ts";

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

async function streamed(fetch: Fetch | undefined, baseURL: string, apiKey = "secret"): Promise<string> {
  const client = new OpenAI({
    baseURL,
    apiKey,
    maxRetries: 0,
    ...(fetch === undefined ? {} : { fetch: fetch as typeof globalThis.fetch }),
  });
  let text = "";
  for await (const chunk of await client.chat.completions.create({
    model: "tiny",
    messages: [{ role: "user", content: "Hello" }],
    stream: true,
    max_tokens: 50,
    seed: 1,
  })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  return text;
}

describe("a custom server", () => {
  it("answers the same over fastify, Hono and a Next route, to the official client", async () => {
    const app = await createApp("secret");
    const url = await app.listen({ port: 0 });
    try {
      const overFastify = await streamed(undefined, `${url}/v1`);
      expect(overFastify).not.toBe("");
      await expect(streamed(undefined, `${url}/v1`, "guess")).rejects.toMatchObject({ status: 401 });
      expect(await streamed(async (input, init) => hono.request(input, init), "http://app/v1")).toBe(
        overFastify,
      );
      expect(await streamed((input, init) => POST(new Request(input, init)), "http://app/v1")).toBe(
        overFastify,
      );
      expect((await GET(new Request("http://app/v1/models"))).status).toBe(200);
    } finally {
      await app.close();
    }
  });
});

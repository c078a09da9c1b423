import type { FastifyPluginAsync } from "fastify";
import { nodeExchange } from "../http/node-exchange.ts";
import { createFlusher } from "../http/socket-sink.ts";
import { createOpenAIApi } from "../openai/openai-api.ts";
import type { OpenAIOptions } from "../openai/openai-options.ts";

export type { OpenAIOptions } from "../openai/openai-options.ts";

const routes = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/models",
  "/v1/models/*",
  "/health",
  "/live",
  "/metrics",
];

/**
 * The OpenAI routes as a fastify plugin. Answers are written past fastify, on the fast path of `createOpenAIServer`; the
 * app's hooks up to `preHandler` (authentication, rate limits) run before. `app.close()` drains for 30 s, then closes.
 *
 * @example
 * const app = fastify();
 * await app.register(openAIPlugin, { models: { qwen: engine } });
 */
export const openAIPlugin: FastifyPluginAsync<OpenAIOptions> = async (app, options) => {
  const api = createOpenAIApi(options);
  const flusher = createFlusher();
  // Bodies are read and bounded by the API itself; fastify must leave the stream alone.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  for (const url of routes) {
    app.all(url, async (request, reply) => {
      reply.hijack();
      const path = request.raw.url?.split("?", 1)[0] ?? "";
      await api.handle(nodeExchange(request.raw, reply.raw, path.slice(app.prefix.length), flusher));
    });
  }
  app.addHook("preClose", async () => {
    await api.drain(30_000);
    await api.close();
  });
};

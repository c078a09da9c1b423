// fastify: a plugin, behind the app's own hooks.
import { openAIPlugin } from "@stator/frontend/fastify";
import fastify, { type FastifyInstance } from "fastify";
import { models } from "./models.ts";

/** The OpenAI routes for those who know the key, beside a route of our own. */
export async function createApp(key: string): Promise<FastifyInstance> {
  const app = fastify();
  app.addHook("onRequest", async (request, reply) => {
    if (request.headers.authorization !== `Bearer ${key}`)
      await reply.code(401).send({ error: { message: "Wrong key.", type: "authentication_error" } });
  });
  app.get("/about", () => ({ serves: Object.keys(models) }));
  await app.register(openAIPlugin, { models });
  return app;
}

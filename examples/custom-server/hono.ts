// Hono: a Fetch handler, here with an own route before it. The same on Bun, Deno and edge runtimes with Node's modules.
import { createOpenAIHandler } from "@stator/frontend";
import { Hono } from "hono";
import { models } from "./models.ts";

const handler = createOpenAIHandler({ models });

export const app: Hono = new Hono();
app.get("/about", (context) => context.json({ serves: Object.keys(models) }));
app.all("/v1/*", (context) => handler(context.req.raw));

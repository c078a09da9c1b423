import OpenAI from "openai";
import { expect, test } from "vitest";
import { createOpenAIServer } from "@stator/frontend";
import { echo } from "./echo.ts";

test("an engine of three lines answers OpenAI clients", async () => {
  await using server = createOpenAIServer({ models: { echo } });
  const { url } = await server.listen({ port: 0 });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
  const { choices, usage } = await client.completions.create({
    model: "echo",
    prompt: "say it again: é",
    max_tokens: 100,
  });
  expect(choices[0]!.text).toBe("say it again: é");
  expect(usage?.completion_tokens).toBe(16);
});

import { defineEngine } from "@stator/core";
import { createOpenAIServer, createTextModel } from "@stator/frontend";
import { expect, test } from "vitest";
import { byteTokenizer } from "../test/kit.ts";

test("the README's engine echoes as text and over HTTP", async () => {
  const tokenizer = byteTokenizer();
  const engine = defineEngine({ model: "echo", contextTokens: 4096, tokenizer }, async function* (request) {
    for (const id of request.promptIds) yield { ids: [id] };
  });
  let text = "";
  for await (const part of createTextModel(engine).generate({ prompt: { text: "Hello" } })) text += part.text;
  expect(text).toBe("Hello");

  await using server = createOpenAIServer({ models: { echo: engine } });
  const { url } = await server.listen({ port: 0 });
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "echo", prompt: "Hello" }),
  });
  expect(await response.json()).toMatchObject({ choices: [{ text: "Hello", finish_reason: "stop" }] });
});

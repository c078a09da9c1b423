import { expect, test } from "vitest";
import OpenAI from "openai";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createRuntime } from "@stator/runtime";
import { graph } from "./graph.ts";

test("one server answers for two models with graphs of their own", async () => {
  await using runtime = await createRuntime();
  await runtime.serveEngine(createSimulatedEngine({ model: "small", weightsSeed: 1 }), { role: "both" });
  await runtime.serveEngine(createSimulatedEngine({ model: "large" }), { role: "prefill" });
  await runtime.serveEngine(createSimulatedEngine({ model: "large" }), { role: "decode" });
  await using server = createOpenAIServer({ models: graph(runtime) });
  const { url } = await server.listen({ port: 0 });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });

  const ask = async (model: string): Promise<string> => {
    const prompt = "The same prompt, long enough to be worth a prefill worker of its own.";
    const { choices } = await client.completions.create({ model, prompt, max_tokens: 24, seed: 1 });
    return choices[0]!.text;
  };
  const [small, large] = await Promise.all([ask("small"), ask("large")]);
  expect(small).not.toBe(large);
  expect(await ask("large")).toBe(large);
  expect((await client.models.list()).data.map(({ id }) => id).sort()).toEqual(["large", "small"]);
  await expect(ask("medium")).rejects.toMatchObject({ status: 404 });
});

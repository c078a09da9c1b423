import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import OpenAI from "openai";
import { expect, test } from "vitest";
import { createSimulatedEngine } from "@stator/engines/simulated";
import { createOpenAIServer } from "@stator/frontend";
import { createRuntime, fileDiscovery } from "@stator/runtime";
import { GuardrailService } from "./gen/guardrail_pb.ts";
import { guarded } from "./guarded.ts";
import { guardrail } from "./guardrail.ts";

test("a service of one's own is found and asked before each request", async () => {
  const dir = await mkdtemp(path.join(tmpdir(), "custom-service-"));
  {
    await using there = await createRuntime({ discovery: fileDiscovery({ dir }) });
    await using here = await createRuntime({ discovery: fileDiscovery({ dir }) });
    await there.serveService(GuardrailService, guardrail([...new TextEncoder().encode("secret")]));
    const engine = guarded(createSimulatedEngine({ model: "tiny" }), here);
    await using server = createOpenAIServer({ models: { tiny: engine } });
    const { url } = await server.listen({ port: 0 });
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });

    const { choices } = await client.completions.create({ model: "tiny", prompt: "hello", max_tokens: 4 });
    expect(choices[0]!.text).not.toBe("");
    const refused = client.completions.create({ model: "tiny", prompt: "the secret of it", max_tokens: 4 });
    await expect(refused).rejects.toMatchObject({ status: 400, code: "prompt_refused" });
  }
  await rm(dir, { recursive: true, force: true });
});

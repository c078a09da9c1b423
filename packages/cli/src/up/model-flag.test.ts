import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import OpenAI from "openai";
import { expect, test } from "vitest";
import { makeTinyModel } from "../../../../tools/make-tiny-model.mjs";
import { runUp } from "../../test/run-up.ts";

test("npm start -- --model: another GGUF, of another architecture, size and tokenizer, is served by both kinds of workers", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "stator-model-"));
  const modelPath = path.join(folder, "qwen.gguf");
  const shape = { width: 96, layers: 3, heads: 6, kvHeads: 3, hidden: 160, contextTokens: 4_096 };
  await writeFile(
    modelPath,
    makeTinyModel({ architecture: "qwen2", name: "other", tokenizer: "bpe", pre: "qwen2", seed: 9, shape }),
  );
  const up = await runUp(["--model", modelPath, "--prefill", "1", "--decode", "2"]);
  try {
    const client = new OpenAI({ baseURL: `${up.url}/v1`, apiKey: "none", maxRetries: 0 });
    const ask = async (): Promise<OpenAI.ChatCompletion> =>
      client.chat.completions.create({
        model: "tiny",
        seed: 3,
        temperature: 0.8,
        max_tokens: 48,
        messages: [{ role: "user", content: `What stands still? ${"A word more. ".repeat(30)}` }],
        ...{ ignore_eos: true },
      });
    const first = await ask();
    expect(first.usage).toMatchObject({ completion_tokens: 48 });
    expect(first.usage!.prompt_tokens).toBeGreaterThan(64);
    const second = await ask();
    expect(second.usage!.prompt_tokens).toBe(first.usage!.prompt_tokens);
  } finally {
    expect(await up.stop()).toBe(0);
    await rm(folder, { recursive: true });
  }
}, 60_000);

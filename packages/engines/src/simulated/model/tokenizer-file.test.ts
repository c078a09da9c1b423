import { createHash } from "node:crypto";
import { Template } from "@huggingface/jinja";
import { Tokenizer } from "@huggingface/tokenizers";
import { createRequest } from "@stator/core";
import { expect, it } from "vitest";

import { createSimulatedEngine } from "../simulated-engine.ts";
import { simulatedTokenizer } from "./tokenizer-file.ts";

const tokenizer = simulatedTokenizer();
const load = (): Tokenizer => new Tokenizer(JSON.parse(tokenizer.json as string) as object, {});

it("is served by the digest that the card names", async () => {
  const engine = createSimulatedEngine();
  const bytes = await engine.artifact(engine.card!.tokenizer.digest, {
    signal: new AbortController().signal,
  });
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(engine.card!.tokenizer.digest);
});

it("tokenizes any text to its bytes, and back", () => {
  for (const text of ["Hello, how are you?", "naïve 你好 😀\n\t x", "  two  spaces ", "1984"]) {
    const { ids } = load().encode(text, { add_special_tokens: false });
    expect(ids).toEqual([...new TextEncoder().encode(text)]);
    expect(load().decode(ids)).toBe(text);
  }
});

it("has a chat template whose turns are single ids", () => {
  const text = new Template(tokenizer.chatTemplate!).render({
    messages: [{ role: "user", content: "Hi" }],
    add_generation_prompt: true,
  });
  const { ids } = load().encode(text, { add_special_tokens: false });
  expect(ids.filter((id) => id > 255)).toEqual([257, 258, 257]);
});

it("makes texts of valid UTF-8 with characters of several ids in them", async () => {
  const engine = createSimulatedEngine();
  let ids: number[] = [];
  const request = createRequest({
    id: "r",
    model: "m",
    promptIds: Uint32Array.of(72, 105),
    limits: { maxTokens: 2000 },
  });
  for await (const batch of engine.generate(request, { signal: new AbortController().signal }))
    ids = [...ids, ...batch.ids];
  const text = new TextDecoder("utf-8", { fatal: true }).decode(
    Uint8Array.from(ids.slice(0, ids.lastIndexOf(32))),
  );
  expect(text).toMatch(/[\u{1F600}-\u{1F60F}]/u);
});

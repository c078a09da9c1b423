import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { makeTinyModel } from "../../../../../tools/make-tiny-model.mjs";
import { llamaIfPresent } from "../../../test/llama-capability.ts";
import { tinyModelPath } from "../tiny-model.ts";
import { convertTokenizer } from "./convert-tokenizer.ts";
import { preTokenizers } from "./pre-tokenizers.ts";
import { readGguf } from "./read-gguf.ts";

const pieces = [
  ..."the of and stator answer question dynamo people history weather words word Hello how are you don't it's we'll I'VE".split(
    " ",
  ),
  ...'1984 365 3.14159 x=y+1; {"a":[1,2]} <b>bold</b> http://example.org/a?b=c# @user $9.99 100% -- ... !? ~'.split(
    " ",
  ),
  ..."naïve façade Straße Ω λόγος привет мир 你好 世界 こんにちは 안녕 שלום مرحبا नमस्ते 😀 👩‍👩‍👧 🇩🇪 e\u0301 \u200b \u00a0 \ufeff \u2581 \u0120".split(
    " ",
  ),
  ..."\n \n\n \t \r\n    ".split(" "),
  " ",
  "  ",
  "   ",
  "\u0000",
  "<|im_start|>",
  "<|im_end|>",
  "</s>",
];

/** A thousand strings over words, code, scripts, emoji, whitespace and special tokens. */
function strings(): string[] {
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  return Array.from({ length: 1000 }, () =>
    Array.from(
      { length: 1 + next(12) },
      () => pieces[next(pieces.length)]! + (next(3) === 0 ? "" : " "),
    ).join(""),
  );
}

const llama = await llamaIfPresent();

describe.skipIf(llama === undefined)("convertTokenizer", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "stator-tokenizer-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  // The commonest on the full list; variants of the same expressions on a part of it.
  const common = new Set(["gpt-2", "llama-bpe", "qwen2"]);
  const vocabularies = [
    [1000, "spm", undefined],
    ...[...preTokenizers.keys()].map((pre) => [common.has(pre) ? 1000 : 150, "bpe", pre]),
  ] as [number, "spm" | "bpe", string | undefined][];
  it.each(vocabularies)("gives llama.cpp's ids on %i strings (%s %s)", async (count, tokenizer, pre) => {
    const modelPath = path.join(folder, `${tokenizer}-${pre}.gguf`);
    await writeFile(modelPath, makeTinyModel({ tokenizer, pre }));
    const json: unknown = JSON.parse(convertTokenizer(await readGguf(modelPath)).json);
    const converted = new Tokenizer(json as object, {});
    const model = await llama!.loadModel({ modelPath, vocabOnly: true });
    for (const text of strings().slice(0, count)) {
      const ids = converted.encode(text, { add_special_tokens: false }).ids;
      expect([text, ids]).toEqual([text, [...model.tokenize(text, true)]]);
    }
    await model.dispose();
  });

  it("refuses what it cannot convert, by name", () => {
    const header = {
      metadata: new Map([
        ["tokenizer.ggml.model", "bert"],
        ["tokenizer.ggml.tokens", ["a"]],
      ] as const),
      tensors: [],
      headerBytes: 0,
      fileBytes: 0,
    };
    expect(() => convertTokenizer(header)).toThrow(/"bert".*tokenizerPath/);
  });
});

describe("makeTinyModel", () => {
  it("makes the committed file, byte for byte", () => {
    expect(makeTinyModel().equals(readFileSync(tinyModelPath()))).toBe(true);
  });
});

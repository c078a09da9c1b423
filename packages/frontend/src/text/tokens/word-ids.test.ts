import { Tokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteTokenizer, spaceMarkTokenizer } from "../../../test/kit.ts";
import { repairTokenizerJson } from "./tokenizer-repair.ts";
import { rememberWords } from "./word-ids.ts";

type Json = Record<string, unknown> & { model: Record<string, unknown>; added_tokens: object[] };
const byteLevel = JSON.parse(byteTokenizer().json as string) as Json;
const spaceMark = JSON.parse(spaceMarkTokenizer().json as string) as Json;
const made = (json: Json): Tokenizer => new Tokenizer(repairTokenizerJson(json), {});
const added = { single_word: false, lstrip: false, rstrip: false };

const tokenizers: Readonly<Record<string, Json>> = {
  "byte-level": byteLevel,
  "byte-level without a pattern": {
    ...byteLevel,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: false },
  },
  "byte-level with a space in front": {
    ...byteLevel,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, use_regex: true },
  },
  "space-mark": spaceMark,
  "lower case, with an added token that is changed too and one that takes the space": {
    ...byteLevel,
    normalizer: { type: "Lowercase" },
    added_tokens: [
      ...byteLevel.added_tokens,
      { ...added, id: 270, content: "Query", special: false, normalized: true },
      { ...added, id: 271, content: "<|x|>", special: true, normalized: false, lstrip: true, rstrip: true },
    ],
  },
};

const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "the",
        " the",
        "then ",
        "\n",
        "  ",
        "<|bos|>",
        "</s>",
        "<|x|>",
        "Query",
        "é",
        "🌍",
        "\uFEFF",
      ),
      fc.string({ unit: "binary", maxLength: 6 }),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(""));

describe.each(Object.entries(tokenizers))("words remembered by a tokenizer: %s", (_name, json) => {
  it("gives the ids of the library, for a text that is new and for one that is known", () => {
    const library = made(json);
    const encode = rememberWords(made(json))!;
    fc.assert(
      fc.property(text, (one) => {
        const ids = one === "" ? [] : library.encode(one, { add_special_tokens: false }).ids;
        expect([...encode(one)]).toEqual(ids);
        expect([...encode(one)]).toEqual(ids);
      }),
    );
  });
});

it("forgets words in the end, and is right about them again", () => {
  const encode = rememberWords(made(byteLevel))!;
  const ids = [...encode("the hen")];
  for (let i = 0; i < 40_000; i += 100)
    encode(Array.from({ length: 100 }, (_, j) => ` w${(i + j).toString(36)}`).join(""));
  expect([...encode("the hen")]).toEqual(ids);
});

it("leaves a tokenizer alone that joins unknown tokens of neighbouring words, and one that does not merge pairs", () => {
  const { vocab, ...rest } = spaceMark.model;
  const { "<0x41>": _missing, ...most } = vocab as Record<string, number>;
  expect(rememberWords(made({ ...spaceMark, model: { ...rest, vocab: most } }))).toBeUndefined();
  const words = { type: "WordPiece", vocab: { "[UNK]": 0, the: 1 }, unk_token: "[UNK]" };
  expect(rememberWords(made({ ...byteLevel, model: words }))).toBeUndefined();
});

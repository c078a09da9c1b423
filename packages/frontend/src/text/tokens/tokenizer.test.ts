import { describe, expect, it } from "vitest";
import { byteCharacters, byteTokenizer, spaceMarkTokenizer } from "../../../test/kit.ts";
import { createTextEncoding } from "./tokenizer.ts";
import { repairTokenizerJson } from "./tokenizer-repair.ts";
import { createVocabulary, type TokenizerJson } from "./vocabulary.ts";

type Json = Record<string, unknown>;
const parsed = (json: string | Uint8Array): Json => JSON.parse(json as string) as Json;
const encoding = (json: Json): ((text: string) => number[]) => {
  const made = createTextEncoding(new TextEncoder().encode(JSON.stringify(json)));
  return (text) => [...made.encode(text)];
};

describe("a byte-level tokenizer", () => {
  const { json, bos } = byteTokenizer();
  const encode = encoding(parsed(json));

  it("merges within words, knows control tokens by their text, and adds none", () => {
    expect(encode("the")).toEqual([258]);
    expect(encode(" the")).toEqual([259]);
    expect(encode("<|bos|>hi")).toEqual([bos, 104, 105]);
    expect(encode("")).toEqual([]);
  });

  it("splits white space as the reference does where JavaScript's \\s differs: U+FEFF is none, U+0085 is", () => {
    const merged = parsed(json) as { model: { vocab: Record<string, number>; merges: string[] } };
    const bytes = (text: string): string[] =>
      Array.from(new TextEncoder().encode(text), (byte) => byteCharacters[byte]!);
    const mark = bytes("\uFEFF");
    // "!" and the mark are one piece under the reference pattern, so a merge of both applies.
    const steps: [string, string][] = [
      [mark[0]!, mark[1]!],
      [mark[0]! + mark[1]!, mark[2]!],
      ["!", mark.join("")],
    ];
    let id = 400;
    for (const [left, right] of steps) {
      merged.model.vocab[left + right] = id++;
      merged.model.merges.push(`${left} ${right}`);
    }
    expect(encoding(merged as unknown as Json)("!\uFEFF")).toEqual([402]);
  });
});

describe("a space-mark tokenizer", () => {
  const json = parsed(spaceMarkTokenizer().json);
  const encode = encoding(json);
  const ids = (json["model"] as { vocab: Record<string, number> }).vocab;
  const space = "\u2581";

  it("prefixes a space, falls back to bytes, keeps control tokens", () => {
    expect(encode("the")).toEqual([ids[`${space}the`]]);
    expect(encode("</s>")).toEqual([2]);
    expect(encode("é")).toEqual([ids[space], ids["<0xC3>"], ids["<0xA9>"]]);
  });

  it("gives the same ids whether cut into words or not", () => {
    // A token with a space mark inside forbids cutting; it is never made by a merge here.
    const whole = structuredClone(json) as { model: { vocab: Record<string, number> } };
    whole.model.vocab[`never${space}made`] = 999;
    expect(repairTokenizerJson(whole as unknown as Json)["pre_tokenizer"]).toBeNull();
    expect(repairTokenizerJson(json)["pre_tokenizer"]).not.toBeNull();
    const uncut = encoding(whole as unknown as Json);
    for (const text of ["the  hen and   the", " an", "a ", "   ", "the\nan the", "then 🌍 the"])
      expect(encode(text)).toEqual(uncut(text));
  });
});

describe("a vocabulary", () => {
  it("knows the longest token and what every id stands for", () => {
    const { json, eos } = byteTokenizer();
    const vocabulary = createVocabulary(parsed(json) as unknown as TokenizerJson);
    expect(vocabulary.size).toBe(268);
    expect(vocabulary.longestTokenBytes).toBe(7);
    expect(vocabulary.text(258)).toBe("the");
    expect(vocabulary.text(0xc3)).toBeUndefined();
    expect(vocabulary.text(eos)).toBe("");
    expect(vocabulary.name(eos)).toBe("<|eos|>");
    expect(vocabulary.bytes(10_000)).toHaveLength(0);
  });

  it("refuses a decoder it does not know, by name", () => {
    const json = { ...parsed(byteTokenizer().json), decoder: { type: "WordPiece" } };
    expect(() => createVocabulary(json as unknown as TokenizerJson)).toThrow(/"WordPiece"/);
  });
});

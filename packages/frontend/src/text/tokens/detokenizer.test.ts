import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteTokenizer, spaceMarkTokenizer } from "../../../test/kit.ts";
import { createDetokenizer } from "./detokenizer.ts";
import { createTextEncoding } from "./tokenizer.ts";
import { createVocabulary, type TokenizerJson } from "./vocabulary.ts";

const bytes = createVocabulary(JSON.parse(byteTokenizer().json as string) as TokenizerJson);
const pieces = createVocabulary(JSON.parse(spaceMarkTokenizer().json as string) as TokenizerJson);
const decode = (raw: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw);

function all(vocabulary: typeof bytes, ids: Iterable<number>): string {
  const detokenizer = createDetokenizer(vocabulary);
  let text = "";
  for (const id of ids) text += detokenizer.push(id);
  return text + detokenizer.end();
}

describe("the detokenizer", () => {
  it("equals decoding all bytes at once, for any bytes", () => {
    const raw = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: "binary", maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
    );
    fc.assert(
      fc.property(raw, (given) => {
        expect(all(bytes, given)).toBe(decode(given));
        expect(
          all(
            pieces,
            Array.from(given, (byte) => byte + 3),
          ),
        ).toBe(decode(given));
      }),
      { numRuns: 600 },
    );
  });

  it("has let out every character once its last byte came, and nothing of it before", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 12 }), (text) => {
        const detokenizer = createDetokenizer(bytes);
        for (const character of text) {
          const raw = new TextEncoder().encode(character);
          for (const [i, byte] of raw.entries())
            expect(detokenizer.push(byte)).toBe(i === raw.length - 1 ? decode(raw) : "");
        }
        expect(detokenizer.end()).toBe("");
      }),
    );
  });

  it("leaves control tokens out without breaking the character around them", () => {
    const { eos } = byteTokenizer();
    const [a, b, c, d] = new TextEncoder().encode("🌍");
    expect(all(bytes, [a!, b!, eos, c!, d!])).toBe("🌍");
  });

  it("undoes tokenizing: any text, byte-level and space-mark style", () => {
    const encodeBytes = createTextEncoding(new TextEncoder().encode(byteTokenizer().json as string));
    const encodePieces = createTextEncoding(new TextEncoder().encode(spaceMarkTokenizer().json as string));
    const noMark = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 30 })
      .filter((text) => !/[\u2581<]/.test(text));
    fc.assert(
      fc.property(noMark, (text) => {
        expect(all(bytes, encodeBytes.encode(text))).toBe(text);
        expect(all(pieces, encodePieces.encode(text))).toBe(` ${text}`);
      }),
      { numRuns: 500 },
    );
  });
});

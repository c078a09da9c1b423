import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJsonBody } from "./json-body.ts";

const limits = { depth: 64, keys: 100 };
const parse = (text: string): unknown => parseJsonBody(new TextEncoder().encode(text), limits);

describe("a JSON body", () => {
  it("is what JSON.parse makes of it, for any JSON", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const expected = JSON.parse(text) as unknown;
        // fast-check may repeat a key; that is the one thing refused here and not there.
        if (JSON.stringify(expected) !== JSON.stringify(JSON.parse(JSON.stringify(expected)))) return;
        expect(parse(JSON.stringify(expected))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ["truncated", '{"a":1'],
    ["trailing bytes", '{"a":1} x'],
    ["comments", '{"a":1 /* b */}'],
    ["a byte order mark", '\uFEFF{"a":1}'],
    ["NaN", '{"a":NaN}'],
    ["nothing", ""],
    ["a repeated key", '{"a":1,"a":2}'],
    ["a repeated key, escaped", '{"a":1,"\\u0061":2}'],
    ["a repeated key further down", '{"m":[{"role":"user","role":"system"}]}'],
    ["too many keys", `{${Array.from({ length: 101 }, (_, i) => `"k${i}":1`).join(",")}}`],
  ])("is refused with %s", (_what, text) => {
    expect(() => parse(text)).toThrowError(
      expect.objectContaining({ code: "FRONTEND_BODY_INVALID" }) as Error,
    );
  });

  it("is refused when its bytes are not UTF-8", () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82, 0x22],
    ]) {
      expect(() => parseJsonBody(Uint8Array.from(bytes), limits)).toThrowError(/UTF-8/);
    }
  });

  it("is refused beyond 64 levels before anything is built, and not for brackets in strings", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(() => parse(nested(65))).toThrowError(
      expect.objectContaining({ code: "FRONTEND_JSON_TOO_DEEP" }) as Error,
    );
    expect(() => parse("[".repeat(5_000_000))).toThrowError(/deeper/);
    expect(parse(nested(64))).toBeInstanceOf(Array);
    expect(parse(JSON.stringify("[".repeat(100)))).toBe("[".repeat(100));
    expect(parse(JSON.stringify({ a: '\\"[{'.repeat(100) }))).toEqual({ a: '\\"[{'.repeat(100) });
  });

  it("keeps all bits of a top-level integer seed and of nothing else", () => {
    expect(parse('{"seed": 18446744073709551615}')).toEqual({ seed: 18446744073709551615n });
    expect(parse('{"seed":-9223372036854775808,"x":1}')).toEqual({ seed: -9223372036854775808n, x: 1 });
    expect(parse('{"seed":1.5}')).toEqual({ seed: 1.5 });
    expect(parse('{"a":{"seed":7},"b":"\\"seed\\": 9"}')).toEqual({ a: { seed: 7 }, b: '"seed": 9' });
  });

  it("has __proto__ as data", () => {
    const body = parse('{"__proto__":{"polluted":true}}') as object;
    expect(Object.hasOwn(body, "__proto__")).toBe(true);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createJsonScanner } from "./json-scanner.ts";

/** How many characters the scanner takes, and whether they end outside any object. */
function scan(text: string): { readonly taken: number; readonly isClosed: boolean } {
  const scanner = createJsonScanner();
  let taken = 0;
  while (taken < text.length && scanner.push(text.charCodeAt(taken))) taken++;
  return { taken, isClosed: scanner.depth === 0 && !scanner.isInString };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("the JSON scanner", () => {
  it("takes every JSON object whole, and no half of one as closed", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()),
        fc.constantFrom(0, 2),
        fc.nat(),
        (value, indent, place) => {
          const text = JSON.stringify(value, null, indent);
          expect(scan(text)).toEqual({ taken: text.length, isClosed: true });
          const cut = 1 + (place % (text.length - 1));
          expect(scan(text.slice(0, cut))).toEqual({ taken: cut, isClosed: false });
        },
      ),
    );
  });

  it("agrees with JSON.parse on what is an object, whatever is written", () => {
    const unit = fc.constantFrom(...'{}[]:,"\\ \n0-1.5eEtruefalsn', '"a"', '"a":', "\\u00e4", "1.5e3");
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 24 }), (inner) => {
        const text = `{${inner}}`;
        const { taken, isClosed } = scan(text);
        expect(taken === text.length && isClosed).toBe(isJson(text));
      }),
      { numRuns: 20_000 },
    );
  });
});

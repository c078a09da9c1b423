import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createStopMatcher } from "./stop-strings.ts";

function run(
  stops: readonly string[],
  pieces: readonly string[],
): { text: string; matched: string | undefined } {
  const matcher = createStopMatcher(stops);
  let text = "";
  for (const piece of pieces) {
    const outcome = matcher.push(piece);
    text += outcome.text;
    if (outcome.matched !== undefined) return { text, matched: outcome.matched };
  }
  return { text: text + matcher.end(), matched: undefined };
}

/** The definition, without cleverness: grow the text character by character until it ends with a stop. */
function definition(stops: readonly string[], text: string): { text: string; matched: string | undefined } {
  for (let end = 1; end <= text.length; end++) {
    const matches = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length);
    if (matches[0] !== undefined)
      return { text: text.slice(0, end - matches[0].length), matched: matches[0] };
  }
  return { text, matched: undefined };
}

const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
const stops = fc.uniqueArray(
  fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 5 }),
  { minLength: 1, maxLength: 4 },
);

describe("stop strings", () => {
  it("end the text at the first complete match, wherever the text is split", () => {
    fc.assert(
      fc.property(stops, fc.array(letters, { maxLength: 8 }), (chosen, pieces) => {
        expect(run(chosen, pieces)).toEqual(definition(chosen, pieces.join("")));
      }),
      { numRuns: 5000 },
    );
  });

  it("are found when split at each place", () => {
    const text = "before<|stop|>after";
    for (let cut = 0; cut <= text.length; cut++) {
      expect(run(["<|stop|>"], [text.slice(0, cut), text.slice(cut)])).toEqual({
        text: "before",
        matched: "<|stop|>",
      });
    }
    expect(run(["<|stop|>"], [...text])).toEqual({ text: "before", matched: "<|stop|>" });
  });

  it("hold back only what may still become one", () => {
    const matcher = createStopMatcher(["END"]);
    expect(matcher.push("an E").text).toBe("an ");
    expect(matcher.push("N").text).toBe("");
    expect(matcher.push("o").text).toBe("ENo");
    expect(matcher.push("EN").text).toBe("");
    expect(matcher.end()).toBe("EN");
  });
});

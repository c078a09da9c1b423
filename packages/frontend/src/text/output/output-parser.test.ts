import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHarmonyParser } from "../harmony/harmony-parser.ts";
import { createThoughtParser } from "../reasoning/thought-parser.ts";
import type { CallOrText } from "../tool-calls/tool-call-format.ts";
import type { OutputParser } from "./output-parser.ts";

interface Outcome {
  text: string;
  reasoning: string;
  calls: string[];
}

function parsed(parser: OutputParser, pieces: readonly string[]): Outcome {
  const outcome: Outcome = { text: "", reasoning: "", calls: [] };
  const add = (found: readonly CallOrText[]): void => {
    for (const { text, reasoning, toolCall, failedCall } of found) {
      if (toolCall !== undefined)
        outcome.calls[toolCall.index] = (outcome.calls[toolCall.index] ?? "") + toolCall.arguments;
      if (failedCall !== undefined) outcome.calls[failedCall] = "";
      outcome.text += text;
      outcome.reasoning += reasoning ?? "";
    }
  };
  for (const piece of pieces) add(parser.push(piece));
  add(parser.end());
  return outcome;
}

const parsers: Readonly<Record<string, readonly [create: () => OutputParser, parts: readonly string[]]>> = {
  thoughts: [
    () => createThoughtParser({ open: "<think>", close: "</think>", isOpen: false, calls: undefined }),
    ["<think>", "</think>", "<think", "</thin", " ", "\n", "a", "b<"],
  ],
  "thoughts that the prompt began": [
    () => createThoughtParser({ open: "<think>", close: "</think>", isOpen: true, calls: undefined }),
    ["<think>", "</think>", "<think", "</thin", " ", "\n", "a", "b<"],
  ],
  harmony: [
    () => createHarmonyParser({ hasTools: true, createId: () => "id" }),
    [
      "<|start|>",
      "assistant",
      "<|channel|>",
      "analysis",
      "final",
      "commentary to=functions.f",
      " <|constrain|>json",
      "<|message|>",
      "<|end|>",
      "<|call|>",
      '{"a":1}',
      "{",
      "<|en",
      " ",
      "x",
    ],
  ],
};

describe.each(Object.entries(parsers))("the parser of %s", (_, [create, parts]) => {
  const output = fc.array(fc.constantFrom(...parts), { maxLength: 24 }).map((list) => list.join(""));
  const cuts = fc.array(fc.nat(), { maxLength: 30 });

  it("finds the same wherever the text is split", () => {
    fc.assert(
      fc.property(output, cuts, (text, at) => {
        const places = [0, ...at.map((one) => one % (text.length + 1)), text.length].sort((a, b) => a - b);
        const pieces = places.slice(1).map((end, i) => text.slice(places[i], end));
        expect(parsed(create(), pieces)).toEqual(parsed(create(), [text]));
        expect(parsed(create(), [...text])).toEqual(parsed(create(), [text]));
      }),
      { numRuns: 1_000 },
    );
  });

  it("invents nothing: what it tells stands in the output, in order", () => {
    fc.assert(
      fc.property(output, (text) => {
        const { text: said, reasoning } = parsed(create(), [...text]);
        for (const told of [said, reasoning]) {
          let at = 0;
          for (const character of told) {
            at = text.indexOf(character, at) + 1;
            expect(at).toBeGreaterThan(0);
          }
        }
      }),
    );
  });
});

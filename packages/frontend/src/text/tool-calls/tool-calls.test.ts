import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseFormat } from "./choose-format.ts";
import { hermes } from "./hermes.ts";
import { llama3 } from "./llama3.ts";
import { mistral } from "./mistral.ts";
import type { ToolCallFormat, ToolCallPiece } from "./tool-call-format.ts";

const tools = new Set(["weather", "time"]);

interface Call {
  readonly name: string;
  readonly arguments: string;
}

interface Outcome {
  readonly text: string;
  readonly calls: readonly Call[];
}

/** What a client makes of the pieces, under the promises that every stream keeps. */
function parse(format: ToolCallFormat, pieces: readonly string[]): Outcome {
  const parser = format.createParser(tools);
  const calls = new Map<number, { name: string; arguments: string }>();
  const ids = new Set<string>();
  let text = "";
  for (const piece of [...pieces.flatMap((one) => parser.push(one)), ...parser.end()]) {
    text += piece.text;
    if (piece.failedCall !== undefined) {
      expect(() => JSON.parse(calls.get(piece.failedCall!)!.arguments) as unknown).toThrow();
      calls.delete(piece.failedCall);
    }
    const { toolCall } = piece;
    if (toolCall === undefined) continue;
    expect(piece.text).toBe("");
    const begun = calls.get(toolCall.index);
    if (begun !== undefined) {
      expect([toolCall.id, toolCall.name]).toEqual([undefined, undefined]);
      begun.arguments += toolCall.arguments;
      continue;
    }
    expect(toolCall).toMatchObject({ arguments: "" });
    ids.add(toolCall.id!);
    calls.set(toolCall.index, { name: toolCall.name!, arguments: "" });
  }
  expect(ids.size).toBeGreaterThanOrEqual(calls.size);
  expect(parser.callCount).toBe(calls.size);
  return { text, calls: [...calls.values()] };
}

function everySplit(format: ToolCallFormat, text: string): Outcome {
  const whole = parse(format, [text]);
  for (let cut = 0; cut <= text.length; cut++)
    expect(parse(format, [text.slice(0, cut), text.slice(cut)])).toEqual(whole);
  expect(parse(format, [...text])).toEqual(whole);
  return whole;
}

const bern = { name: "weather", arguments: '{"city": "Bern"}' };
const now = { name: "time", arguments: "{}" };

describe("calls are read", () => {
  it.each<[string, ToolCallFormat, string, Outcome]>([
    [
      "in Hermes' elements, behind text",
      hermes,
      'I look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>',
      { text: "I look.", calls: [bern] },
    ],
    [
      "in parallel",
      hermes,
      '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>\n<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>\n',
      { text: "", calls: [bern, now] },
    ],
    [
      "without the closing mark, with the arguments first",
      hermes,
      '<tool_call>{"arguments": {"city": "Bern"}, "name": "weather"}',
      { text: "", calls: [bern] },
    ],
    [
      "with text behind them",
      hermes,
      '<tool_call>{"name":"time"}</tool_call>\nDone.',
      { text: "\nDone.", calls: [now] },
    ],
    [
      "with no more space around them than a model needs",
      hermes,
      `${" ".repeat(33)}<tool_call>{"name":"time"}${"\n".repeat(33)}</tool_call>`,
      { text: ` ${"\n".repeat(33)}</tool_call>`, calls: [now] },
    ],
    [
      "with arguments written as a string or as null",
      hermes,
      '<tool_call>{"name":"weather","arguments":"{\\"city\\": \\"Bern\\"}"}</tool_call><tool_call>{"name":"time","arguments":null}</tool_call>',
      { text: "", calls: [bern, now] },
    ],
    [
      "with marks and braces inside strings",
      hermes,
      '<tool_call>{"name":"weather","arguments":{"a":"</tool_call>}\\"","b":["<tool_call>{"]}}</tool_call>',
      {
        text: "",
        calls: [{ name: "weather", arguments: '{"a":"</tool_call>}\\"","b":["<tool_call>{"]}' }],
      },
    ],
    [
      "as Llama's whole answer",
      llama3,
      '{"name": "weather", "parameters": {"city": "Bern"}}',
      { text: "", calls: [bern] },
    ],
    [
      "behind the python tag, several",
      llama3,
      'Well. <|python_tag|>{"type": "function", "name": "weather", "parameters": {"city": "Bern"}}; {"name": "time", "parameters": {}}',
      { text: "Well.", calls: [bern, now] },
    ],
    [
      "in Mistral's list",
      mistral,
      '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Bern"}}, {"name": "time", "arguments": {}, "id": "abcdefghi"}]',
      { text: "", calls: [bern, now] },
    ],
    [
      "in Mistral's list, cut before its end",
      mistral,
      'So: [TOOL_CALLS][{"name": "weather", "arguments": {"city": "Bern"}}',
      { text: "So:", calls: [bern] },
    ],
  ])("%s", (_, format, text, outcome) => {
    expect(everySplit(format, text)).toEqual(outcome);
  });
});

describe("what is no call stays text, to the letter", () => {
  it.each<[string, ToolCallFormat, string]>([
    ["text", hermes, "  Two < three, <b>bold</b>, <tool and <tool_call \n"],
    ["broken JSON", hermes, ' <tool_call>\n{"name": "weather", "arguments": {city: "Bern"}}\n</tool_call>\n'],
    ["a trailing comma", hermes, '<tool_call>{"name": "weather", "arguments": {"a": 1,}}</tool_call>'],
    ["a missing brace", hermes, '<tool_call>{"name": "weather", "arguments": {"a": 1}\n</tool_call>'],
    ["a call cut short", hermes, 'Hm \n<tool_call>{"name": "weather", "arguments": {"city": "Be'],
    ["a call that names nothing", hermes, '<tool_call>{"arguments": {}}</tool_call>'],
    ["arguments that are a list", hermes, '<tool_call>{"name": "time", "arguments": [1]}</tool_call>'],
    ["a key said twice", hermes, '<tool_call>{"name": "a", "name": "b", "arguments": {}}</tool_call>'],
    ["another dialect", hermes, "<tool_call>\n<function=weather>\n</function>\n</tool_call>"],
    ["JSON that is an answer", llama3, ' {"name": "Ada", "parameters": {"born": 1815}} '],
    ["JSON behind text", llama3, 'See {"name": "weather", "parameters": {}}'],
    ["code behind the python tag", llama3, "<|python_tag|>print('{}')\n"],
    ["an empty list", mistral, "[TOOL_CALLS] []"],
    ["a mark alone", mistral, "\n[TOOL_CALLS]"],
  ])("%s", (_, format, text) => {
    expect(everySplit(format, text)).toEqual({ text, calls: [] });
  });

  it("beside calls that are good", () => {
    const bad = '<tool_call>{"name": "time", "arguments": {"a": }}</tool_call>';
    const good = '<tool_call>{"name": "time"}</tool_call>';
    expect(everySplit(hermes, `${good}${bad}${good}`)).toEqual({ text: bad, calls: [now, now] });
    expect(everySplit(mistral, '[TOOL_CALLS][{"name": "time"}, {"name" "time"}]')).toEqual({
      text: ', {"name" "time"}]',
      calls: [now],
    });
  });
});

describe("a stream", () => {
  it("tells a call's name as soon as its arguments begin, and these as they come", () => {
    const parser = hermes.createParser(tools);
    const told = (text: string): (ToolCallPiece | undefined)[] =>
      parser.push(text).map(({ toolCall }) => toolCall);
    expect(told('<tool_call>{"name": "weather", "arguments": ')).toEqual([]);
    expect(told("{")).toMatchObject([
      { index: 0, name: "weather", arguments: "" },
      { index: 0, arguments: "{" },
    ]);
    expect(told('"city": "Be')).toEqual([{ index: 0, arguments: '"city": "Be' }]);
    // The closing brace waits for the call's own: no client finds arguments complete that are not.
    expect(told('rn"}')).toEqual([{ index: 0, arguments: 'rn"' }]);
    expect(told("}")).toEqual([{ index: 0, arguments: "}" }]);
  });

  it("holds back only what may still become a mark", () => {
    const parser = hermes.createParser(tools);
    const text = (piece: string): string =>
      parser
        .push(piece)
        .map((one) => one.text)
        .join("");
    expect(text("a <tool")).toBe("a");
    expect(text("s> b")).toBe(" <tools> b");
    expect(text("\n")).toBe("");
    expect(text("<")).toBe("");
    expect(parser.end()).toEqual([{ text: "\n<" }]);
    expect(text(" ".repeat(1000)).length).toBeGreaterThan(900);
  });
});

describe("any output, split anywhere", () => {
  const word = fc.string({
    unit: fc.constantFrom("a", " ", "\n", "{", "<", "[", '"', "ü", "🌍", ";", ","),
    maxLength: 50,
  });
  const argumentsOf = fc.dictionary(
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.jsonValue({ maxDepth: 2 }),
    {
      maxKeys: 3,
    },
  );
  const call = fc.record({ name: fc.constantFrom(...tools), arguments: argumentsOf });
  const written = ({ name, arguments: value }: { name: string; arguments: object }, key: string): string =>
    `{"name": ${JSON.stringify(name)}, ${JSON.stringify(key)}: ${JSON.stringify(value)}}`;
  const cutInto = (text: string, cuts: readonly number[]): string[] => {
    const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].sort((a, b) => a - b);
    return places.slice(1).map((place, i) => text.slice(places[i], place));
  };
  const cuts = fc.array(fc.nat(), { maxLength: 12 });

  it.each<[ToolCallFormat, (calls: readonly string[]) => string, string]>([
    [hermes, (all) => all.map((one) => `<tool_call>\n${one}\n</tool_call>`).join("\n"), "arguments"],
    [llama3, (all) => `<|python_tag|>${all.join("; ")}`, "parameters"],
    [mistral, (all) => `[TOOL_CALLS] [${all.join(", ")}]`, "arguments"],
  ])("gives the calls that were written ($name)", (format, frame, key) => {
    fc.assert(
      fc.property(word, fc.array(call, { minLength: 1, maxLength: 4 }), cuts, (before, calls, places) => {
        const lead = `Well${before}.`;
        const text = lead + frame(calls.map((one) => written(one, key)));
        expect(parse(format, cutInto(text, places))).toEqual({
          text: lead,
          calls: calls.map((one) => ({ name: one.name, arguments: JSON.stringify(one.arguments) })),
        });
      }),
    );
  });

  it.each([[hermes], [llama3], [mistral]])(
    "gives the same as when it is whole, broken or not ($name)",
    (format) => {
      const scrap = fc.constantFrom(
        ...format.markers,
        "<tool_call>",
        "</tool_call>",
        '{"name": "time"}',
        '{"name": "weather", "arguments": {"a": "',
        '"}}',
        '{"arguments": {}, ',
        "[",
        "]",
        "; ",
        ", ",
        "\n",
        " ".repeat(40),
      );
      fc.assert(
        fc.property(fc.array(fc.oneof(scrap, scrap, word), { maxLength: 8 }), cuts, (scraps, places) => {
          const text = scraps.join("");
          expect(parse(format, cutInto(text, places))).toEqual(parse(format, [text]));
        }),
        { numRuns: 1000 },
      );
    },
  );
});

describe("the format", () => {
  it.each([
    ['{{ "<tool_call>" }}{{ tool_call | tojson }}', "hermes"],
    ["{{ '<tool_call><function=' }}", undefined],
    ["{{ '<tool_call>' }}{{ '<arg_key>' }}", undefined],
    ["{{ '<|start_header_id|>' }}{{ '\"parameters\": ' }}", "llama3"],
    ["{{ '<|python_tag|>' }}", "llama3"],
    ["{{ '[TOOL_CALLS] [' }}", "mistral"],
    ["{{ '[TOOL_CALLS]' + name + '[ARGS]' }}", undefined],
    ["{{ '<|im_start|>' }}", undefined],
    [undefined, undefined],
  ])("of the template %s is %s", (template, name) => {
    expect(chooseFormat(undefined, template)?.name).toBe(name);
  });

  it("is the one that was asked for, or none", () => {
    expect(chooseFormat("llama3", "<tool_call>")?.name).toBe("llama3");
    expect(chooseFormat("none", "<tool_call>")).toBeUndefined();
  });
});

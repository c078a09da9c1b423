import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseFormat } from "./formats/choose-format.ts";
import { deepseek } from "./formats/deepseek.ts";
import { glm } from "./formats/glm.ts";
import { hermes } from "./formats/hermes.ts";
import { kimiK2 } from "./formats/kimi-k2.ts";
import { llama3 } from "./formats/llama3.ts";
import { mistral } from "./formats/mistral.ts";
import { pythonic } from "./formats/pythonic.ts";
import { qwen3Coder } from "./formats/qwen3-coder.ts";
import type { ToolCallFormat, ToolCallPiece } from "./tool-call-format.ts";

const tools = new Map<string, unknown>([
  [
    "weather",
    {
      type: "object",
      properties: {
        city: { type: "string" },
        days: { type: "integer" },
        mix: { anyOf: [{ type: "string" }, { type: "number" }] },
        list: { type: "array" },
        on: { type: "boolean" },
      },
    },
  ],
  ["time", undefined],
]);

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
    [
      "behind Mistral's names, as tokenizers from version 11 on write them",
      mistral,
      'So: [TOOL_CALLS]weather[ARGS]{"city": "Bern"}[TOOL_CALLS]time[CALL_ID]abcdefghi[ARGS]{}',
      { text: "So:", calls: [bern, now] },
    ],
    [
      "behind Mistral's names without the mark between",
      mistral,
      '[TOOL_CALLS]weather{"city": "Bern"}',
      { text: "", calls: [bern] },
    ],
    [
      "in Qwen3-Coder's tags, by the types of the tool's schema",
      qwen3Coder,
      "I look.\n<tool_call>\n<function=weather>\n<parameter=city>\nBern\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=time>\n</function>\n</tool_call>",
      { text: "I look.", calls: [{ name: "weather", arguments: '{"city": "Bern", "days": 3}' }, now] },
    ],
    [
      "in Qwen3-Coder's tags without the element around, with text of many lines",
      qwen3Coder,
      '<function=weather><parameter=city>\n\n  a <b> "c"\n🌍\n\n</parameter><parameter=on>True</parameter></function>',
      {
        text: "",
        calls: [{ name: "weather", arguments: '{"city": "\\n  a <b> \\"c\\"\\n🌍\\n", "on": true}' }],
      },
    ],
    [
      "in GLM's keys and values, a string that looks like a number among them",
      glm,
      'Hm.<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>8001</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n<arg_key>list</arg_key>\n<arg_value>[1, {"a": null}]</arg_value>\n</tool_call>',
      {
        text: "Hm.",
        calls: [{ name: "weather", arguments: '{"city": "8001", "days": 3, "list": [1, {"a": null}]}' }],
      },
    ],
    [
      "in GLM's values by what they look like where no schema says",
      glm,
      "<tool_call>time<arg_key>a</arg_key><arg_value>1.5</arg_value><arg_key>b</arg_key><arg_value>x y</arg_value><arg_key>c</arg_key><arg_value></arg_value></tool_call>\n<tool_call>time</tool_call>",
      { text: "", calls: [{ name: "time", arguments: '{"a": 1.5, "b": "x y", "c": ""}' }, now] },
    ],
    [
      "as Python's calls, the whole answer",
      pythonic,
      ' [weather(city="Bern"), time()]',
      { text: "", calls: [bern, now] },
    ],
    [
      "as Python's calls between Llama 4's marks, with literals of every kind",
      pythonic,
      "So <|python_start|>[weather(city='Z\\'ü\\u00fc\\n', days = -3, mix=.5, list=[1, (2, 'x'), {\"k\": None, 'l': [True, False,],}], on=False)]<|python_end|>",
      {
        text: "So",
        calls: [
          {
            name: "weather",
            arguments:
              '{"city": "Z\'üü\\n", "days": -3, "mix": 0.5, "list": [1, [2, "x"], {"k": null, "l": [true, false]}], "on": false}',
          },
        ],
      },
    ],
    [
      "as Llama 4's object",
      pythonic,
      '{"name": "weather", "parameters": {"city": "Bern"}}',
      { text: "", calls: [bern] },
    ],
    [
      "in DeepSeek V3's fenced blocks",
      deepseek,
      'Ja.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{"city": "Bern"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>time\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
      { text: "Ja.", calls: [bern, now] },
    ],
    [
      "between DeepSeek V3.1's marks",
      deepseek,
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Bern"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>time<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
      { text: "", calls: [bern, now] },
    ],
    [
      "between Kimi K2's marks",
      kimiK2,
      'Hm.\n<|tool_calls_section_begin|>\n<|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Bern"}<|tool_call_end|>\n<|tool_call_begin|>functions.time:1<|tool_call_argument_begin|>{}<|tool_call_end|>\n<|tool_calls_section_end|>',
      { text: "Hm.", calls: [bern, now] },
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
    ["a name without arguments", mistral, "[TOOL_CALLS]weather[ARGS] in Bern"],
    [
      "a key said twice, in tags",
      glm,
      "<tool_call>time<arg_key>a</arg_key><arg_value>1</arg_value><arg_key>a</arg_key><arg_value>2</arg_value></tool_call>",
    ],
    ["a tag cut short", qwen3Coder, "Hm \n<tool_call>\n<function=weather>\n<parameter=city>\nBer"],
    ["JSON in another's element", qwen3Coder, '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'],
    [
      "tags with attributes",
      qwen3Coder,
      '<function=weather><parameter name="city">Bern</parameter></function>',
    ],
    ["a list of links", pythonic, "[one](http://a.b/c), [two](d)"],
    ["a call to no tool", pythonic, "[open(file='x')]"],
    ["positional arguments", pythonic, "<|python_start|>[weather('Bern')]<|python_end|>"],
    ["an expression", pythonic, "[weather(city=home())]"],
    ["a broken literal", pythonic, "[weather(days=1_0)]"],
    [
      "a heading without its separator",
      deepseek,
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather {"city": "Bern"}',
    ],
    ["a name that never ends", kimiK2, `<|tool_call_begin|>${"a".repeat(300)}`],
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
  const call = fc.record({ name: fc.constantFrom(...tools.keys()), arguments: argumentsOf });
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

  const scalar = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.string({ unit: "grapheme", maxLength: 8 }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  );
  const named = fc.record({
    name: fc.constantFrom(...tools.keys()),
    arguments: fc.dictionary(fc.stringMatching(/^[a-z_]{1,6}$/), fc.oneof(scalar, fc.array(scalar)), {
      maxKeys: 4,
    }),
  });
  const python = (value: unknown): string =>
    JSON.stringify(value, (_key, one: unknown) => one)
      .replaceAll(/"(?:[^"\\]|\\.)*"|true|false|null/g, (token) =>
        token === "true" ? "True" : token === "false" ? "False" : token === "null" ? "None" : token,
      )
      .replaceAll("\\/", "/");
  const bare = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
  const isMarked = (value: unknown): boolean => typeof value === "string" && /[<>\n]|^\s|\s$/.test(value);

  it.each<[ToolCallFormat, (call: { name: string; arguments: Record<string, unknown> }) => string]>([
    [
      pythonic,
      (one) =>
        `<|python_start|>[${one.name}(${Object.entries(one.arguments)
          .map(([key, value]) => `${key}=${python(value)}`)
          .join(", ")})]<|python_end|>`,
    ],
    [
      glm,
      (one) =>
        `<tool_call>${one.name}\n${Object.entries(one.arguments)
          .map(([key, value]) => `<arg_key>${key}</arg_key>\n<arg_value>${bare(value)}</arg_value>\n`)
          .join("")}</tool_call>`,
    ],
    [
      qwen3Coder,
      (one) =>
        `<tool_call>\n<function=${one.name}>\n${Object.entries(one.arguments)
          .map(([key, value]) => `<parameter=${key}>\n${bare(value)}\n</parameter>\n`)
          .join("")}</function>\n</tool_call>`,
    ],
  ])("gives the arguments that were meant ($name)", (format, write) => {
    fc.assert(
      fc.property(named, cuts, (one, places) => {
        // Bare values have no quotes: what looks like something else, or like a mark, is not told apart.
        const isBare = format !== pythonic;
        fc.pre(
          !isBare ||
            Object.values(one.arguments).every(
              (value) =>
                !isMarked(value) &&
                !(Array.isArray(value) && value.some(isMarked)) &&
                (typeof value !== "string" || /^[a-z][^0-9]*$/i.test(value)) &&
                !["true", "false", "null", "True", "False", "None"].includes(String(value)),
            ) ||
            false,
        );
        const { calls, text } = parse(format, cutInto(write(one), places));
        expect(text).toBe("");
        expect(calls.map(({ name, arguments: json }) => [name, JSON.parse(json)])).toEqual([
          [one.name, one.arguments],
        ]);
      }),
      { numRuns: 300 },
    );
  });

  it.each([[hermes], [llama3], [mistral], [deepseek], [glm], [kimiK2], [pythonic], [qwen3Coder]])(
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
        "weather",
        "[ARGS]",
        "<function=time>",
        "<parameter=a>",
        "</parameter>",
        "</function>",
        "<arg_key>a</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "[time(a=1",
        ", b='x')",
        ")]",
        "function<｜tool▁sep｜>time\n```json\n{}",
        "\n```",
        "functions.time:0<|tool_call_argument_begin|>{",
        "}",
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
    ["{{ '<tool_call><function=' + name + '><parameter=' }}", "qwen3Coder"],
    ["{{ '<tool_call>' }}{{ '<arg_key>' }}", "glm"],
    ["{{ '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' }}", "deepseek"],
    ["{{ '<|tool_call_begin|>' + id + '<|tool_call_argument_begin|>' }}", "kimiK2"],
    ["{{ '<|header_start|>' }}{{ '<|python_start|>' }}", "pythonic"],
    ["{{ '<|start_header_id|>' }}{{ '\"parameters\": ' }}", "llama3"],
    ["{{ '<|python_tag|>' }}", "llama3"],
    ["{{ '[TOOL_CALLS] [' }}", "mistral"],
    ["{{ '[TOOL_CALLS]' + name + '[ARGS]' }}", "mistral"],
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

import { expect, test } from "vitest";
import { createChatTemplate } from "./chat-template.ts";

const render = (source: string, variables: Readonly<Record<string, unknown>> = {}): string =>
  createChatTemplate(source, "<s>", "</s>").render({
    messages: [{ role: "user", content: "hi" }],
    variables,
  });

// What follows is what Jinja2 3.1 writes, in the sandbox of transformers.
test.each([
  [
    "a queue of call ids",
    "{%- set ids = [] %}{%- set _ = ids.append('a') %}{%- set _ = ids.extend(['b', 'c']) %}{{ ids.pop(0) }}{{ ids.pop() }}{{ ids | string }}",
    "ac['b']",
  ],
  [
    "insert, index and count",
    "{%- set of = [1, 2] %}{%- set _ = of.insert(0, 2) %}{{ of.index(1) }}{{ of.count(2) }}",
    "12",
  ],
  [
    "format",
    "{{ '{} of {}, {0}'.replace('{0}', 'x').format(1, 'a') }}|{{ '{1}{0}'.format('a', 'b') }}",
    "1 of a, x|ba",
  ],
  [
    "integer keys in order",
    "{%- set budget = {4096: 'd', 512: 'b', 0: 'a'} %}{% for size, name in budget | dictsort %}{{ size + 1 }}{{ name }} {% endfor %}{{ budget[512] }}",
    "1a 513b 4097d b",
  ],
  [
    "items of integer keys keep their order",
    "{%- set of = {2: 'x', 1: 'y'} %}{% for key, value in of.items() %}{{ key }}{{ value }}{% endfor %}",
    "2x1y",
  ],
  [
    "the text of a map",
    "{{ {'a': [1, true, none], 'b': 'it\\'s'} | string }}",
    `{'a': [1, True, None], 'b': "it's"}`,
  ],
  ["least and most", "{{ [3, 1, 2] | min }}{{ [3, 1, 2] | max }}", "13"],
  [
    "what is not there is an empty list",
    "{% for tool in tools_given %}x{% endfor %}{{ tools_given | length }}",
    "0",
  ],
  [
    "special tokens and messages",
    "{{ bos_token }}{{ messages[0].role }}: {{ messages[0]['content'] }}{{ eos_token }}",
    "<s>user: hi</s>",
  ],
  [
    "range",
    "{% for i in range(6, 0, -2) %}{{ i }}{% endfor %}{% for i in range(2) %}{{ i }}{% endfor %}",
    "64201",
  ],
])("%s", (_, source, text) => {
  expect(render(source)).toBe(text);
});

test("today's date is this machine's", () => {
  expect(render("{{ strftime_now('%Y-%m-%d %% %B') }}")).toMatch(
    /^20\d\d-[01]\d-[0-3]\d % (January|February|March|April|May|June|July|August|September|October|November|December)$/,
  );
});

test("a template's refusal keeps its words, and a broken template says what does not parse", () => {
  expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(
    expect.objectContaining({
      code: "FRONTEND_TEMPLATE_FAILED",
      kind: "invalid",
      message: expect.stringContaining("roles must alternate") as string,
    }),
  );
  expect(() => render("{{ [].pop() }}")).toThrow(/pop from an empty list/);
  expect(() => render("{% if %}")).toThrow(
    expect.objectContaining({ code: "FRONTEND_TEMPLATE_FAILED", kind: "incompatible" }),
  );
});

test("what a template appends is gone with the next rendering", () => {
  const template = createChatTemplate(
    "{%- set _ = messages.append({'role': 'assistant'}) %}{{ messages | length }}",
    "",
    "",
  );
  const messages = [{ role: "user", content: "hi" }];
  expect([template.render({ messages }), template.render({ messages }), messages.length]).toEqual([
    "2",
    "2",
    1,
  ]);
});

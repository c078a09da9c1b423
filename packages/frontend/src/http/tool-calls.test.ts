import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { Engine } from "@stator/core";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { textEngine } from "../../test/text-engine.ts";
import { createOpenAIServer, type OpenAIServer, type OpenAIServerOptions } from "./openai-server.ts";

const servers: OpenAIServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: OpenAIServerOptions): Promise<{ url: string; client: OpenAI }> {
  const server = createOpenAIServer(options);
  servers.push(server);
  const { url } = await server.listen({ port: 0 });
  return { url, client: new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 }) };
}

/** Templates as the three families have them: the turns, the tools, calls as the model writes them, results. */
const templateOf = (call: string): string =>
  `{% if tools %}tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}{% if m.tool_calls %}${call}{% endif %}{% if m.role == 'tool' %} ({{ m.tool_call_id }}){% endif %}\n{% endfor %}`;
const oneByOne = (before: string, key: string, after: string): string =>
  `{% for c in m.tool_calls %}${before}{"name": {{ c.function.name | tojson }}, "${key}": {{ c.function.arguments | tojson }}}${after}{% endfor %}`;
const hermesTemplate = templateOf(oneByOne("<tool_call>\n", "arguments", "\n</tool_call>"));
const llamaTemplate = templateOf(`<|python_tag|>${oneByOne("", "parameters", "")}`);
const mistralTemplate = templateOf(
  `[TOOL_CALLS] [{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception("ids have 9 characters") }}{% endif %}{"name": {{ c.function.name | tojson }}, "arguments": {{ c.function.arguments | tojson }}}{% endfor %}]`,
);

const hello = [{ role: "user" as const, content: "How is the weather in Bern?" }];
const tools = ["weather", "time"].map((name) => ({
  type: "function" as const,
  function: {
    name,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}));
const call = '{"name": "weather", "arguments": {"city": "Bern"}}';
const element = `<tool_call>\n${call}\n</tool_call>`;

describe("the official openai client", () => {
  it("gets calls beside text, whole and streamed, with the same usage as without tools", async () => {
    const said = `I look.\n${element}\n${element.replace("Bern", "Zürich")}`;
    const { client } = await serve({ models: { m: textEngine(() => said, hermesTemplate) } });
    const whole = await client.chat.completions.create({ model: "m", messages: hello, tools });
    const [choice] = whole.choices;
    expect(choice).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: "I look.",
        tool_calls: [
          { type: "function", function: { name: "weather", arguments: '{"city": "Bern"}' } },
          { type: "function", function: { name: "weather", arguments: '{"city": "Zürich"}' } },
        ],
      },
    });
    const ids = choice!.message.tool_calls!.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^call_\w{32}$/);
    expect(whole.usage!.completion_tokens).toBe(new TextEncoder().encode(said).length + 1);

    const stream = client.chat.completions.stream({
      model: "m",
      messages: hello,
      tools,
      stream_options: { include_usage: true },
    });
    const pieces: OpenAI.ChatCompletionChunk.Choice.Delta.ToolCall[] = [];
    for await (const chunk of stream) pieces.push(...(chunk.choices[0]?.delta.tool_calls ?? []));
    const streamed = await stream.finalChatCompletion();
    expect(streamed.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: "I look.",
        tool_calls: choice!.message.tool_calls!.map((one) => ({
          function: { ...(one as OpenAI.ChatCompletionMessageFunctionToolCall).function },
        })),
      },
    });
    expect(streamed.usage).toEqual(whole.usage);
    expect(pieces.filter(({ id }) => id !== undefined)).toMatchObject([
      { index: 0, type: "function", function: { name: "weather", arguments: "" } },
      { index: 1, type: "function", function: { name: "weather", arguments: "" } },
    ]);
    expect(pieces.filter(({ index }) => index === 0).length).toBeGreaterThan(10);
  });

  it("gets a message without content for a call alone", async () => {
    const { client } = await serve({ models: { m: textEngine(() => `\n${element}`, hermesTemplate) } });
    const { choices } = await client.chat.completions.create({ model: "m", messages: hello, tools });
    expect(choices[0]!.message.content).toBeNull();
    expect(choices[0]!.message.tool_calls).toHaveLength(1);
  });

  it("gets text where no tools are, tool_choice is none, the call is broken, or the format is none", async () => {
    const prompts: string[] = [];
    const saying = (text: string): Engine =>
      textEngine((prompt) => (prompts.push(prompt), text), hermesTemplate);
    const broken = element.replace('{"city": "Bern"}', '{"city": Bern}');
    const { client } = await serve({
      models: { m: saying(element), broken: saying(broken), off: saying(element) },
      toolCallFormats: { off: "none" },
    });
    const ask = async (
      model: string,
      fields: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>,
    ): Promise<OpenAI.ChatCompletion.Choice> => {
      const { choices } = await client.chat.completions.create({ model, messages: hello, ...fields });
      return choices[0]!;
    };
    const text = { finish_reason: "stop", message: { content: element } };
    expect(await ask("m", {})).toMatchObject(text);
    expect(await ask("m", { tools, tool_choice: "none" })).toMatchObject(text);
    expect(prompts.some((prompt) => prompt.includes("tools:"))).toBe(false);
    expect(await ask("off", { tools })).toMatchObject(text);
    const choice = await ask("broken", { tools });
    expect(choice).toMatchObject({ finish_reason: "stop", message: { content: broken } });
    expect(choice.message.tool_calls).toBeUndefined();

    const chunks = [];
    for await (const chunk of await client.chat.completions.create({
      model: "broken",
      messages: hello,
      tools,
      stream: true,
    }))
      chunks.push(chunk.choices[0]!);
    expect(chunks.map(({ delta }) => delta.content ?? "").join("")).toBe(broken);
    expect(chunks.at(-1)!.finish_reason).toBe("stop");
  });

  it("keeps every log probability, of calls too", async () => {
    const inner = textEngine(() => `Hm ${element}`, hermesTemplate);
    const engine: Engine = {
      ...inner,
      async *generate(request, options) {
        for await (const batch of inner.generate(request, options))
          yield { ...batch, logprobs: [...batch.ids].map((id) => ({ logprob: -id, top: [] })) };
      },
    };
    const { client } = await serve({ models: { m: engine } });
    const fields = { model: "m", messages: hello, tools, logprobs: true };
    const bytes = [...new TextEncoder().encode(`Hm ${element}`)];
    const whole = await client.chat.completions.create(fields);
    expect(whole.choices[0]!.logprobs!.content!.flatMap((token) => token.bytes)).toEqual(bytes);
    const streamed: (number[] | null)[] = [];
    for await (const chunk of await client.chat.completions.create({ ...fields, stream: true }))
      streamed.push(...(chunk.choices[0]!.logprobs?.content ?? []).map((token) => token.bytes));
    expect(streamed.flat()).toEqual(bytes);
  });

  it.each([
    ["hermes", hermesTemplate, element],
    ["llama3", llamaTemplate, `<|python_tag|>${call.replace("arguments", "parameters")}`],
    ["mistral", mistralTemplate, `[TOOL_CALLS] [${call}]`],
  ])("runs its tools and brings calls and results back into the prompt (%s)", async (_, template, said) => {
    const prompts: string[] = [];
    const engine = textEngine((prompt) => {
      prompts.push(prompt);
      return prompt.includes("tool: 12 degrees") ? "It is 12 degrees." : said;
    }, template);
    const { client } = await serve({ models: { m: engine } });
    const asked: unknown[] = [];
    const [{ function: definition }] = tools as [(typeof tools)[0]];
    const weather = {
      type: "function" as const,
      function: {
        ...definition,
        description: "The weather of a city.",
        parse: JSON.parse as (text: string) => object,
        function: (input: object) => (asked.push(input), "12 degrees"),
      },
    };
    for (const stream of [false, true]) {
      prompts.length = asked.length = 0;
      const fields = { model: "m", messages: [...hello], tools: [weather] };
      const runner = stream
        ? client.chat.completions.runTools({ ...fields, stream })
        : client.chat.completions.runTools({ ...fields, stream: false });
      expect(await runner.finalContent()).toBe("It is 12 degrees.");
      expect(asked).toEqual([{ city: "Bern" }]);
      expect(prompts).toHaveLength(2);
      // Control tokens that the template writes become ids, which have no text.
      const shown = said.replace(/<\|python_tag\|>|\[TOOL_CALLS\]/, "");
      expect(prompts[1]).toContain(`assistant: ${shown}`);
      expect(prompts[1]).toMatch(/tool: 12 degrees \(\w{9,}\)/);
    }
  });
});

describe("the AI SDK", () => {
  it("runs its tools, whole and streamed", async () => {
    const engine = textEngine(
      (prompt) => (prompt.includes("tool: ") ? "It is 12 degrees." : `I look. ${element}`),
      hermesTemplate,
    );
    const { url } = await serve({ models: { m: engine } });
    const model = createOpenAICompatible({ name: "stator", baseURL: `${url}/v1` })("m");
    const weather = tool({
      description: "The weather of a city.",
      inputSchema: jsonSchema<{ city: string }>(tools[0]!.function.parameters as object),
      execute: ({ city }) => `12 degrees in ${city}`,
    });
    const options = { model, prompt: "Weather?", tools: { weather }, stopWhen: stepCountIs(3) };
    const whole = await generateText(options);
    expect(whole.text).toBe("It is 12 degrees.");
    expect(whole.steps.map((step) => step.finishReason)).toEqual(["tool-calls", "stop"]);
    expect(whole.steps[0]!.toolResults).toMatchObject([
      { toolName: "weather", input: { city: "Bern" }, output: "12 degrees in Bern" },
    ]);
    const streamed = streamText(options);
    const kinds = [];
    let input = "";
    for await (const part of streamed.fullStream) {
      kinds.push(part.type);
      if (part.type === "tool-input-delta") input += part.delta;
    }
    expect(input).toBe('{"city": "Bern"}');
    expect(kinds).not.toContain("error");
    expect(kinds.filter((kind) => kind === "tool-input-delta").length).toBeGreaterThan(5);
    expect((await streamed.steps).map((step) => step.text)).toEqual(["I look.", "It is 12 degrees."]);
  });
});

describe("a forced call", () => {
  const able = { grammars: ["jsonSchema"] as const };

  it("holds the engine to the tools' schemas and gives the call", async () => {
    const grammars: string[] = [];
    const engine = textEngine(
      (_, request) => (grammars.push(request.grammar!.source), call),
      mistralTemplate,
      able,
    );
    const { client } = await serve({ models: { m: engine } });
    const named = { type: "function" as const, function: { name: "weather" } };
    for (const choice of ["required" as const, named]) {
      const { choices } = await client.chat.completions.create({
        model: "m",
        messages: hello,
        tools,
        tool_choice: choice,
      });
      expect(choices[0]).toMatchObject({
        finish_reason: "tool_calls",
        message: {
          content: null,
          tool_calls: [{ function: { name: "weather", arguments: '{"city": "Bern"}' } }],
        },
      });
    }
    const [required, only] = grammars.map((source) => JSON.parse(source) as Record<string, unknown>);
    expect(required).toMatchObject({
      anyOf: tools.map(({ function: { name, parameters } }) => ({
        properties: { name: { const: name }, arguments: parameters },
        required: ["name", "arguments"],
      })),
    });
    expect(only).toMatchObject({ properties: { name: { const: "weather" } } });
  });

  it("keeps a schema's references to itself whole", async () => {
    let source = "";
    const engine = textEngine(
      (_, request) => ((source = request.grammar!.source), call),
      hermesTemplate,
      able,
    );
    const { client } = await serve({ models: { m: engine } });
    const parameters = {
      type: "object",
      properties: { place: { $ref: "#/$defs/place" } },
      $defs: { place: { type: "object", properties: { in: { $ref: "#/$defs/place" } } } },
    };
    await client.chat.completions.create({
      model: "m",
      messages: hello,
      tools: [tools[1]!, { type: "function", function: { name: "weather", parameters } }],
      tool_choice: "required",
    });
    const schema: unknown = JSON.parse(source);
    const at = "#/anyOf/1/properties/arguments/$defs/place";
    const found = at
      .slice(2)
      .split("/")
      .reduce((inner, key) => (inner as Record<string, unknown>)[key], schema);
    expect(found).toEqual({ type: "object", properties: { in: { $ref: at } } });
  });

  it("is refused clearly where it cannot be had", async () => {
    const { client } = await serve({
      models: {
        able: textEngine(() => call, hermesTemplate, able),
        unable: textEngine(() => call, hermesTemplate),
      },
    });
    const ask = (fields: object): Promise<unknown> =>
      client.chat.completions.create({ model: "able", messages: hello, tools, ...fields });
    const unsupported = { status: 400, param: "tool_choice", code: "unsupported_parameter" };
    const invalid = { status: 400, param: "tool_choice", code: "invalid_value" };
    const named = (name: string): object => ({ type: "function", function: { name } });
    await expect(ask({ model: "unable", tool_choice: "required" })).rejects.toMatchObject(unsupported);
    await expect(ask({ model: "unable", tool_choice: named("time") })).rejects.toMatchObject(unsupported);
    await expect(
      ask({ tool_choice: "required", response_format: { type: "json_object" } }),
    ).rejects.toMatchObject(unsupported);
    await expect(ask({ tool_choice: named("nothing") })).rejects.toMatchObject(invalid);
    await expect(ask({ tool_choice: "required", tools: undefined })).rejects.toMatchObject(invalid);
    await expect(ask({ tool_choice: "sometimes" })).rejects.toMatchObject(invalid);
    await expect(ask({ tool_choice: { type: "custom" } })).rejects.toMatchObject({
      ...unsupported,
      param: "tool_choice.type",
    });
  });
});

describe("toolCallFormats", () => {
  it("names models and known formats", () => {
    const models = { m: textEngine(() => "", hermesTemplate) };
    expect(() => createOpenAIServer({ models, toolCallFormats: { m: "xml" as never } })).toThrow(
      /toolCallFormats.m is xml/,
    );
    expect(() => createOpenAIServer({ models, toolCallFormats: { n: "hermes" } })).toThrow(/toolCallFormats/);
  });

  it("reads calls of a model whose template shows none", async () => {
    const { client } = await serve({
      models: { m: textEngine(() => element, "{{ messages[0].content }}") },
      toolCallFormats: { m: "hermes" },
    });
    const { choices } = await client.chat.completions.create({ model: "m", messages: hello, tools });
    expect(choices[0]!.finish_reason).toBe("tool_calls");
  });
});

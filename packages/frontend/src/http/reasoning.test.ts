import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
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

const messages = [{ role: "user" as const, content: "Hi" }];
const turns = "{% for m in messages %}{{ m.content }}{% endfor %}";
const thought = "Two words?\nYes: two.";
const answer = "Hello there";

type Thoughtful = { readonly content: string | null; readonly reasoning_content?: string };

/** How each family writes thoughts and an answer; and how its template ends the prompt. */
const dialects: Readonly<Record<string, readonly [template: string, said: string]>> = {
  "think, by the model": [`{# </think> #}${turns}`, `<think>\n${thought}\n</think>\n\n${answer}`],
  "think, begun by the template": [`${turns}<think>\n`, `${thought}\n</think>\n\n${answer}`],
  "think, begun by both": [`${turns}<think>\n`, `<think>\n${thought}\n</think>\n\n${answer}`],
  mistral: [`{# [THINK] #}${turns}`, `[THINK]${thought}[/THINK]${answer}`],
  seed: [`{# </seed:think> #}${turns}`, `<seed:think>${thought}</seed:think>${answer}`],
  kimiVl: [`{# ◁/think▷ #}${turns}`, `◁think▷${thought}◁/think▷${answer}`],
  harmony: [
    `{# <|channel|> <|message|> #}${turns}<|start|>assistant`,
    `<|channel|>analysis<|message|>${thought}<|end|><|start|>assistant<|channel|>final<|message|>${answer}`,
  ],
};

describe.each(Object.entries(dialects))("thoughts in the format %s", (_, [template, said]) => {
  it("come as reasoning_content, whole and streamed, and are counted", async () => {
    const { client } = await serve({ models: { m: textEngine(() => said, template) } });
    const whole = await client.chat.completions.create({ model: "m", messages });
    const message = whole.choices[0]!.message as unknown as Thoughtful;
    expect(message).toMatchObject({ content: answer, reasoning_content: thought });
    const counted = whole.usage!.completion_tokens_details!.reasoning_tokens!;
    expect(counted).toBeGreaterThanOrEqual(thought.length);
    expect(counted).toBeLessThanOrEqual(whole.usage!.completion_tokens - answer.length);

    let content = "";
    let reasoning = "";
    let isAnswering = false;
    for await (const chunk of await client.chat.completions.create({ model: "m", messages, stream: true })) {
      const delta = chunk.choices[0]!.delta as Partial<Thoughtful>;
      if (delta.reasoning_content !== undefined) expect(isAnswering).toBe(false);
      reasoning += delta.reasoning_content ?? "";
      content += delta.content ?? "";
      isAnswering ||= (delta.content ?? "") !== "";
    }
    expect({ content, reasoning }).toEqual({ content: answer, reasoning: thought });
  });

  it("reach the AI SDK as reasoning", async () => {
    const { url } = await serve({ models: { m: textEngine(() => said, template) } });
    const model = createOpenAICompatible({ name: "stator", baseURL: `${url}/v1` })("m");
    const whole = await generateText({ model, prompt: "Hi", maxRetries: 0 });
    expect([whole.reasoningText, whole.text]).toEqual([thought, answer]);
    const streamed = streamText({ model, prompt: "Hi", maxRetries: 0 });
    expect(await streamed.text).toBe(answer);
    expect(await streamed.reasoningText).toBe(thought);
  });

  it("that are cut short are thoughts, without an answer", async () => {
    const { client } = await serve({ models: { m: textEngine(() => said, template) } });
    const marks = said.startsWith("<|channel|>") ? 2 + "analysis".length : said.indexOf(thought);
    const whole = await client.chat.completions.create({ model: "m", messages, max_tokens: marks + 6 });
    const message = whole.choices[0]!.message as unknown as Thoughtful;
    expect(whole.choices[0]!.finish_reason).toBe("length");
    expect(message.content).toBeNull();
    expect(thought.startsWith(message.reasoning_content!)).toBe(true);
  });
});

describe("a model with thoughts", () => {
  const think = `{# </think> #}${turns}`;

  it("may answer at once", async () => {
    const { client } = await serve({ models: { m: textEngine(() => "  <then> no", think) } });
    const whole = await client.chat.completions.create({ model: "m", messages });
    expect(whole.choices[0]!.message).toEqual({ role: "assistant", content: "  <then> no", refusal: null });
    expect(whole.usage!.completion_tokens_details).toBeUndefined();
  });

  it("keeps marks in its answer as text", async () => {
    const said = "<think>a</think>Write <think>x</think>.";
    const { client } = await serve({ models: { m: textEngine(() => said, think) } });
    const whole = await client.chat.completions.create({ model: "m", messages });
    expect(whole.choices[0]!.message).toMatchObject({
      reasoning_content: "a",
      content: "Write <think>x</think>.",
    });
  });

  it("keeps its thoughts as text where the option says none", async () => {
    const said = "<think>a</think>b";
    const { client } = await serve({
      models: { m: textEngine(() => said, think) },
      reasoningFormats: { m: "none" },
    });
    const whole = await client.chat.completions.create({ model: "m", messages });
    expect(whole.choices[0]!.message).toEqual({ role: "assistant", content: said, refusal: null });
  });

  it("calls tools behind its thoughts, never in them", async () => {
    const call = '<tool_call>{"name": "time", "arguments": {}}</tool_call>';
    const said = `<think>${call}</think>\n\n${call}`;
    const template = `{# </think> <tool_call> #}${turns}`;
    const { client } = await serve({ models: { m: textEngine(() => said, template) } });
    const tools = [{ type: "function" as const, function: { name: "time", parameters: {} } }];
    const whole = await client.chat.completions.create({ model: "m", messages, tools });
    expect(whole.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { content: null, reasoning_content: call, tool_calls: [{ function: { name: "time" } }] },
    });
  });

  it("gets effort and earlier thoughts by the names that templates read", async () => {
    let prompt = "";
    const template =
      "{# </think> #}{{ reasoning_effort }} {% for m in messages %}[{{ m.reasoning_content }}|{{ m.thinking }}|{{ m.content }}]{% endfor %}";
    const engine = textEngine((text) => ((prompt = text), "x"), template);
    const { client } = await serve({ models: { m: engine } });
    const history = [{ role: "assistant" as const, content: "two", reasoning_content: "1 + 1" }, ...messages];
    await client.chat.completions.create({ model: "m", messages: history, reasoning_effort: "high" });
    expect(prompt).toBe("high [1 + 1|1 + 1|two][||Hi]");
  });

  it("holds its output to a schema from the first character, although the template begins thoughts", async () => {
    const engine = textEngine(() => '{"a":1}', `${turns}<think>\n`, { grammars: ["jsonSchema"] });
    const { client } = await serve({ models: { m: engine } });
    const whole = await client.chat.completions.create({
      model: "m",
      messages,
      response_format: { type: "json_object" },
    });
    expect(whole.choices[0]!.message.content).toBe('{"a":1}');
  });
});

describe("harmony", () => {
  const template = `{# <|channel|> <|message|> #}${turns}<|start|>assistant`;
  const tools = [{ type: "function" as const, function: { name: "time", parameters: {} } }];
  const answerTo = async (said: string, withTools = true): Promise<OpenAI.ChatCompletion.Choice> => {
    const { client } = await serve({ models: { m: textEngine(() => said, template) } });
    const whole = await client.chat.completions.create({
      model: "m",
      messages,
      ...(withTools ? { tools } : {}),
    });
    return whole.choices[0]!;
  };

  it("thinks, says what it will do, and calls", async () => {
    const said =
      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|>" +
      '<|start|>assistant<|channel|>commentary to=functions.time <|constrain|>json<|message|>{"a": "<|end"}';
    expect(await answerTo(said)).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: "I look.",
        reasoning_content: "Hm.",
        tool_calls: [{ function: { name: "time", arguments: '{"a": "<|end"}' } }],
      },
    });
  });

  it.each([
    [
      "a call that is no JSON is text, to the letter",
      "<|channel|>commentary to=functions.time<|message|>now!",
    ],
    ["a call without tools is the model's own business", undefined],
    ["an output without marks is an answer", "Just this."],
    ["an output that only begins like a header is an answer", "to=be or not"],
  ])("%s", async (_, said) => {
    if (said === undefined) {
      const choice = await answerTo("<|channel|>commentary to=functions.time<|message|>{}", false);
      expect(choice).toMatchObject({
        finish_reason: "stop",
        message: { content: null, reasoning_content: "{}" },
      });
    } else expect((await answerTo(said)).message.content).toBe(said);
  });

  it("reads messages that were never ended", async () => {
    const choice = await answerTo("<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Yes<|start|>");
    expect(choice.message).toMatchObject({ content: "Yes", reasoning_content: "Hm." });
  });

  it("treats the model's own tools as thoughts", async () => {
    const said =
      "<|channel|>analysis to=python code<|message|>print(1)<|call|><|start|>assistant<|channel|>final<|message|>1";
    expect((await answerTo(said)).message).toMatchObject({ content: "1", reasoning_content: "print(1)" });
  });
});

describe("reasoningFormats", () => {
  it("refuses formats and models that it does not know", () => {
    const models = { m: textEngine(() => "", "") };
    expect(() => createOpenAIServer({ models, reasoningFormats: { m: "xml" as never } })).toThrow(
      /reasoningFormats.m is xml/,
    );
    expect(() => createOpenAIServer({ models, reasoningFormats: { n: "think" } })).toThrow(
      /reasoningFormats/,
    );
  });
});

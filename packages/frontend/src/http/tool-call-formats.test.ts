import type { RequestEvent } from "@stator/core";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { textEngine } from "../../test/text-engine.ts";
import { createOpenAIServer, type OpenAIServer } from "./openai-server.ts";

const servers: OpenAIServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const tools = ["weather", "time"].map((name) => ({
  type: "function" as const,
  function: {
    name,
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
    },
  },
}));
const weather = { name: "weather", arguments: { city: "Bern", days: 3 } };
const time = { name: "time", arguments: {} };
const json = JSON.stringify(weather.arguments);

/** How each family writes text, a call with two arguments and one without; and what of its template shows it. */
const dialects: Readonly<Record<string, readonly [template: string, said: string]>> = {
  deepseek: [
    "<｜tool▁call▁begin｜>",
    `I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n\`\`\`json\n${json}\n\`\`\`<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>time\n\`\`\`json\n{}\n\`\`\`<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  ],
  "deepseek 3.1": [
    "<｜tool▁call▁begin｜>",
    `I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>${json}<｜tool▁call▁end｜><｜tool▁call▁begin｜>time<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  ],
  deepseekV32: [
    "｜DSML｜",
    'I look.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="weather">\n<｜DSML｜parameter name="city" string="true">Bern</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="time">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
  ],
  "deepseek 4": [
    "｜DSML｜",
    'I look.<｜DSML｜tool_calls><｜DSML｜invoke name="weather"><｜DSML｜parameter name="city">Bern</｜DSML｜parameter><｜DSML｜parameter name="days">3</｜DSML｜parameter></｜DSML｜invoke><｜DSML｜invoke name="time"></｜DSML｜invoke></｜DSML｜tool_calls>',
  ],
  harmony: [
    "<|channel|> <|message|>",
    `<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>${json}<|call|><|start|>assistant to=functions.time<|channel|>commentary<|message|>{}`,
  ],
  minimaxM2: [
    "<think> minimax:tool_call",
    'I look.\n<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Bern</parameter>\n<parameter name="days">3</parameter>\n</invoke>\n<invoke name="time">\n</invoke>\n</minimax:tool_call>',
  ],
  glm: [
    "<tool_call> <arg_key>",
    "I look.\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Bern</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>time\n</tool_call>",
  ],
  kimiK2: [
    "<|tool_call_argument_begin|>",
    `I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>${json}<|tool_call_end|><|tool_call_begin|>functions.time:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>`,
  ],
  "mistral 11": ["[TOOL_CALLS] [ARGS]", `I look.[TOOL_CALLS]weather[ARGS]${json}[TOOL_CALLS]time[ARGS]{}`],
  pythonic: [
    "<|python_start|>",
    'I look.<|python_start|>[weather(city="Bern", days=3), time()]<|python_end|>',
  ],
  qwen3Coder: [
    "<tool_call> <function= <parameter=",
    "I look.\n<tool_call>\n<function=weather>\n<parameter=city>\nBern\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=time>\n</function>\n</tool_call>",
  ],
};

describe.each(Object.entries(dialects))("the official openai client, on %s", (_, [marks, said]) => {
  const events: RequestEvent[] = [];
  async function connect(): Promise<OpenAI> {
    events.length = 0;
    const template = `{# ${marks} #}{% for m in messages %}{{ m.content }}{% endfor %}`;
    const server = createOpenAIServer({
      models: { m: textEngine(() => said, template) },
      observers: [(event) => events.push(event)],
    });
    servers.push(server);
    const { url } = await server.listen({ port: 0 });
    return new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  }
  const fields = { model: "m", messages: [{ role: "user" as const, content: "Weather?" }], tools };
  type Told = readonly { readonly name: string; readonly arguments: unknown }[];
  const told = (message: OpenAI.ChatCompletionMessage): Told =>
    (message.tool_calls ?? []).map((call) => {
      const { name, arguments: written } = (call as OpenAI.ChatCompletionMessageFunctionToolCall).function;
      return { name, arguments: JSON.parse(written) as unknown };
    });

  it("gets text and calls, whole and streamed", async () => {
    const client = await connect();
    const whole = await client.chat.completions.create(fields);
    expect(whole.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: "I look." } });
    expect(told(whole.choices[0]!.message)).toEqual([weather, time]);
    const stream = client.chat.completions.stream({ ...fields, stream_options: { include_usage: true } });
    const streamed = await stream.finalChatCompletion();
    expect(streamed.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { content: "I look." },
    });
    expect(told(streamed.choices[0]!.message)).toEqual([weather, time]);
    expect(streamed.usage).toEqual(whole.usage);
  });

  it("gets one call where it wants none in parallel, and the engine's work ends with it", async () => {
    const client = await connect();
    const single = { ...fields, parallel_tool_calls: false };
    const whole = await client.chat.completions.create(single);
    expect(whole.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: "I look." } });
    expect(told(whole.choices[0]!.message)).toEqual([weather]);
    const parallel = await client.chat.completions.create(fields);
    expect(whole.usage!.completion_tokens).toBeLessThan(parallel.usage!.completion_tokens - 4);
    expect(events.find(({ type }) => type === "finished")).toMatchObject({
      reason: "stop",
      outputTokens: whole.usage!.completion_tokens,
    });
    const streamed = await client.chat.completions.stream(single).finalChatCompletion();
    expect(streamed.choices[0]!.finish_reason).toBe("tool_calls");
    expect(told(streamed.choices[0]!.message)).toEqual([weather]);
  });
});

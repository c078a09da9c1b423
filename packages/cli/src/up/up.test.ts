import { afterAll, beforeAll, describe, expect, test } from "vitest";
import OpenAI from "openai";
import { runUp, type RunningUp } from "../../test/run-up.ts";

const body = (i: number, extra: object = {}): OpenAI.ChatCompletionCreateParamsStreaming => ({
  model: "tiny",
  stream: true,
  stream_options: { include_usage: true },
  seed: 7 + i,
  temperature: 0.8,
  max_tokens: 160,
  messages: [
    {
      role: "user",
      content: `Question ${i}: what does a stator do while the rotor turns around and around? ${"word ".repeat(12)}`,
    },
  ],
  ignore_eos: true,
  ...extra,
});

interface Answer {
  readonly text: string;
  readonly finishes: string[];
  readonly usage: OpenAI.CompletionUsage | undefined;
}

async function ask(
  client: OpenAI,
  params: OpenAI.ChatCompletionCreateParamsStreaming,
  onPiece?: (pieces: number) => void,
): Promise<Answer> {
  let text = "";
  let pieces = 0;
  const finishes: string[] = [];
  let usage: OpenAI.CompletionUsage | undefined;
  for await (const chunk of await client.chat.completions.create(params)) {
    const [choice] = chunk.choices;
    if (choice?.delta.content) {
      text += choice.delta.content;
      onPiece?.(++pieces);
    }
    if (choice?.finish_reason) finishes.push(choice.finish_reason);
    usage = chunk.usage ?? usage;
  }
  return { text, finishes, usage };
}

describe("npm start: two prefill and two decode processes on llama.cpp", () => {
  let up: RunningUp;
  let client: OpenAI;
  beforeAll(async () => {
    up = await runUp([]);
    client = new OpenAI({ baseURL: `${up.url}/v1`, apiKey: "none", maxRetries: 0 });
  }, 60_000);
  afterAll(async () => {
    await up?.stop();
  });

  test("a request that shares a prefix goes where it is cached, and the text stays the same", async () => {
    const first = await ask(client, body(1));
    // Another worker may be worth more while the first is busy; the prefix is on all of them soon.
    await expect
      .poll(async () => {
        const again = await ask(client, body(1));
        expect(again.text).toBe(first.text);
        return again.usage?.prompt_tokens_details?.cached_tokens;
      })
      .toBeGreaterThan(0);
  });

  for (const victim of ["tiny-decode", "tiny-prefill"]) {
    test(`SIGKILL of ${victim} workers in the middle of streams: the texts, finishes and usage are those of an undisturbed run`, async () => {
      const undisturbed = await Promise.all(Array.from({ length: 6 }, (_, i) => ask(client, body(10 + i))));
      let killed = false;
      const kill = async (): Promise<void> => {
        if (killed) return;
        killed = true;
        for (const pid of await up.pids(`--id ${victim}-0`)) process.kill(pid, "SIGKILL");
      };
      const disturbed = await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          ask(
            client,
            body(10 + i),
            (pieces) => void (pieces >= (victim === "tiny-decode" ? 10 : 1) && kill()),
          ),
        ),
      );
      expect(killed).toBe(true);
      for (const [i, answer] of disturbed.entries()) {
        expect(answer.text).toBe(undisturbed[i]!.text);
        expect(answer.finishes).toEqual(["length"]);
        expect(answer.usage?.completion_tokens).toBe(160);
        expect(answer.usage?.prompt_tokens).toBe(undisturbed[i]!.usage?.prompt_tokens);
      }
    }, 60_000);
  }

  test("a model file that is not there ends the start at once, with one sentence", async () => {
    await expect(runUp(["--model", "/none/such.gguf"])).rejects.toThrow(
      /ended with \d[^]*\/none\/such\.gguf/,
    );
  });

  test("Ctrl-C lets a running stream end, exits 0, and leaves no process behind", async () => {
    let begun: () => void = () => undefined;
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    const running = ask(client, body(99, { max_tokens: 1000 }), begun);
    await hasBegun;
    const code = await up.stop();
    expect(await running).toMatchObject({ finishes: ["length"], usage: { completion_tokens: 1000 } });
    expect(code).toBe(0);
    expect(await up.pids("worker")).toEqual([]);
  }, 60_000);
});

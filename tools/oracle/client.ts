import type { OpenAIHandler } from "@stator/frontend";
import type { Cell } from "./cells.ts";

/** Everything that a client sees of a run, whatever way it was delivered. Ids and times of the answer are not part of it. */
export interface Observed {
  readonly status: number;
  readonly text: string;
  readonly finishReason: string | undefined;
  readonly usage: unknown;
  readonly logprobs: readonly unknown[];
  /** Terminal markers: finish reasons seen, and `[DONE]`. One each. */
  readonly terminals: readonly number[];
  readonly error?: unknown;
}

interface Choice {
  readonly text?: string;
  readonly delta?: { readonly content?: string | null };
  readonly message?: { readonly content?: string | null };
  readonly finish_reason?: string | null;
  readonly logprobs?: Readonly<Record<string, unknown>> | null;
}

interface Body {
  readonly choices?: readonly Choice[];
  readonly usage?: unknown;
  readonly error?: unknown;
}

// About 1,200 ids of a byte-level tokenizer: 75 blocks to transfer.
const sentence = "The frame stands still while the rest turns; what it holds it holds for all. ";
const prompt = sentence.repeat(15);

/** Output tokens of every run. */
export const outputTokens = 64;

function bodyOf({ sampling, delivery, api }: Cell, salt: string): string {
  const isStream = delivery === "stream";
  return JSON.stringify({
    model: "tiny",
    max_tokens: outputTokens,
    ...(sampling === "greedy"
      ? { temperature: 0 }
      : { temperature: 0.8, top_p: 0.95, seed: 1234567, presence_penalty: 0.6, frequency_penalty: 0.4 }),
    ...(isStream ? { stream: true, stream_options: { include_usage: true } } : {}),
    ...(api === "chat"
      ? { messages: [{ role: "user", content: salt + prompt }], logprobs: true, top_logprobs: 2 }
      : { prompt: salt + prompt, logprobs: 2 }),
  });
}

/** Sends the cell's request and reads its answer to the end. */
export async function ask(handler: OpenAIHandler, cell: Cell, salt: string = ""): Promise<Observed> {
  const path = cell.api === "chat" ? "chat/completions" : "completions";
  const response = await handler(
    new Request(`http://oracle.local/v1/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: bodyOf(cell, salt),
    }),
  );
  const text = await response.text();
  if (cell.delivery === "unary" || response.status !== 200)
    return fold(response.status, [JSON.parse(text) as Body], 1);
  const events = text
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice(6));
  const dones = events.filter((event) => event === "[DONE]").length;
  return fold(
    response.status,
    events.filter((event) => event !== "[DONE]").map((event) => JSON.parse(event) as Body),
    dones,
  );
}

function fold(status: number, bodies: readonly Body[], dones: number): Observed {
  let text = "";
  let usage: unknown;
  let error: unknown;
  const finishes: string[] = [];
  const logprobs: unknown[] = [];
  for (const body of bodies) {
    usage = body.usage ?? usage;
    error = body.error ?? error;
    for (const choice of body.choices ?? []) {
      text += choice.text ?? choice.delta?.content ?? choice.message?.content ?? "";
      if (typeof choice.finish_reason === "string") finishes.push(choice.finish_reason);
      for (const list of Object.values(choice.logprobs ?? {}))
        if (Array.isArray(list)) logprobs.push(...(list as unknown[]));
    }
  }
  // Streams split the lists of `completions` by event: only their members are compared, in an order of their own.
  const sorted = logprobs.map((one) => JSON.stringify(one)).sort();
  return {
    status,
    text,
    finishReason: finishes[0],
    usage,
    logprobs: sorted,
    terminals: [finishes.length, dones],
    ...(error === undefined ? {} : { error }),
  };
}

export interface Message {
  readonly role: "user" | "assistant";
  readonly content: string;
}

export interface Piece {
  readonly id: string;
  readonly text: string;
  /** What the model thinks before it answers. */
  readonly reasoning: string;
}

interface Chunk {
  readonly id?: string;
  readonly error?: { readonly message?: string };
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string | null };
  }[];
}

/** Streams an answer from this process' own OpenAI route. Throws with the server's message. */
export async function* chatStream(
  model: string,
  messages: readonly Message[],
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages, stream: true, max_tokens: 512 }),
    signal,
  });
  if (!response.ok || response.body === null) throw new Error(await reasonOf(response));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      if (!event.startsWith("data: ") || event === "data: [DONE]") continue;
      const chunk = JSON.parse(event.slice(6)) as Chunk;
      if (chunk.error !== undefined) throw new Error(chunk.error.message ?? "The stream broke.");
      const delta = chunk.choices?.[0]?.delta;
      yield { id: chunk.id ?? "", text: delta?.content ?? "", reasoning: delta?.reasoning_content ?? "" };
    }
  }
}

/** Names of the models that are served now. */
export async function listModels(): Promise<readonly string[]> {
  const response = await fetch("/v1/models");
  if (!response.ok) return [];
  const { data } = (await response.json()) as { readonly data: readonly { readonly id: string }[] };
  return data.map(({ id }) => id);
}

async function reasonOf(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { readonly error?: { readonly message?: string } };
    return error?.message ?? `The server answered ${response.status}.`;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

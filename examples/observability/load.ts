/** Words that some requests share as their beginning, so that there is cache to hit. */
const topics = ["turbines", "tides", "bees", "bridges", "glaciers"];

export interface LoadOptions {
  readonly url: string;
  /** Requests that run at once. */
  readonly clients: number;
  readonly signal: AbortSignal;
}

/** A prompt nobody has sent before: work for prefill. */
function readings(client: number, i: number): string {
  const values = Array.from({ length: 60 }, (_, k) => (client * 7_919 + i * 104_729 + k * 31) % 997);
  return ` The readings are ${values.join(", ")}.`;
}

/** Sends chats until the signal; answers are read and thrown away. Resolves when the last ones have come. */
export async function sendLoad({ url, clients, signal }: LoadOptions): Promise<void> {
  await Promise.all(Array.from({ length: clients }, (_, client) => oneClient(url, client, signal)));
}

async function oneClient(url: string, client: number, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i++) {
    const topic = topics[(client + i) % topics.length] as string;
    const messages = [
      {
        role: "system",
        content: `You explain ${topic} to engineers. ${`What is known about ${topic} matters. `.repeat(30)}`,
      },
      {
        role: "user",
        content: `Question ${client}.${i}: what is new?${i % 4 === 3 ? readings(client, i) : ""}`,
      },
    ];
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "tiny",
        messages,
        stream: true,
        max_tokens: 24 + ((client * 7 + i * 13) % 80),
      }),
    });
    await response.arrayBuffer();
  }
}

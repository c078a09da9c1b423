export interface SineOptions {
  readonly url: string;
  readonly model: string;
  readonly seconds: number;
  /** Requests per second at the bottom and the top of the wave; one wave takes the whole time. */
  readonly least: number;
  readonly most: number;
  /** A request is good when its first token comes within this. */
  readonly ttftMs: number;
}

export interface SineResult {
  readonly sent: number;
  readonly failed: number;
  readonly good: number;
}

/** Poisson arrivals whose rate goes from `least` to `most` and back. Resolves when the last answer has ended. */
export async function sendSine(options: SineOptions): Promise<SineResult> {
  const { least, most, seconds } = options;
  const began = performance.now();
  const all: Promise<"good" | "late" | "failed">[] = [];
  for (;;) {
    const at = (performance.now() - began) / 1000;
    if (at >= seconds) break;
    const rate = least + ((most - least) * (1 - Math.cos((2 * Math.PI * at) / seconds))) / 2;
    all.push(ask(options));
    await new Promise((resolve) => setTimeout(resolve, (-Math.log(1 - Math.random()) / rate) * 1000));
  }
  const ends = await Promise.all(all);
  return {
    sent: ends.length,
    failed: ends.filter((end) => end === "failed").length,
    good: ends.filter((end) => end === "good").length,
  };
}

async function ask({ url, model, ttftMs }: SineOptions): Promise<"good" | "late" | "failed"> {
  const began = performance.now();
  // Random prompts, so that no cache answers them.
  const promptIds = Array.from({ length: 400 }, () => 3 + Math.floor(Math.random() * 200));
  try {
    const response = await fetch(new URL("/v1/completions", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, prompt: promptIds, max_tokens: 16, stream: true, ignore_eos: true }),
      signal: AbortSignal.timeout(60_000),
    });
    if (!response.ok || response.body === null) return "failed";
    let firstMs: number | undefined;
    for await (const chunk of response.body) {
      if (chunk.length > 0) firstMs ??= performance.now() - began;
    }
    return firstMs === undefined ? "failed" : firstMs <= ttftMs ? "good" : "late";
  } catch {
    return "failed";
  }
}

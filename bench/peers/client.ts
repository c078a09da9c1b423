import { Agent, request } from "node:http";

/** One streamed request as its client saw it. */
export interface Seen {
  readonly text: string;
  /** From the send to the first token, and to the end, ms. */
  readonly firstMs: number;
  readonly endMs: number;
  /** It broke off, was refused, or carried an error. */
  readonly failure?: string;
}

export interface ClientOptions {
  readonly port: number;
  readonly prompt: string;
  readonly tokens: number;
  readonly onToken?: () => void;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1_024 });

/** Streams one completion; never rejects. */
export function stream({ port, prompt, tokens, onToken }: ClientOptions): Promise<Seen> {
  const body = JSON.stringify({
    model: "bench",
    prompt,
    max_tokens: tokens,
    stream: true,
    temperature: 0,
    ignore_eos: true,
  });
  const startedMs = performance.now();
  let firstMs = Number.NaN;
  let text = "";
  return new Promise((resolve) => {
    let failure: string | undefined;
    const end = (): void => {
      const endMs = performance.now() - startedMs;
      resolve({ text, firstMs, endMs, ...(failure === undefined ? {} : { failure }) });
    };
    const call = request(
      {
        port,
        host: "127.0.0.1",
        path: "/v1/completions",
        method: "POST",
        agent,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        if (response.statusCode !== 200) failure = `status ${response.statusCode}`;
        let rest = "";
        let isDone = false;
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          rest += chunk;
          let at: number;
          while ((at = rest.indexOf("\n")) >= 0) {
            const line = rest.slice(0, at);
            rest = rest.slice(at + 1);
            if (line.startsWith("data: [DONE]")) isDone = true;
            else if (line.startsWith("data: ")) {
              const event = JSON.parse(line.slice(6)) as {
                choices?: { text?: string }[];
                error?: { message?: string };
              };
              if (event.error !== undefined) failure = event.error.message ?? "an error in the stream";
              const piece = event.choices?.[0]?.text ?? "";
              if (piece === "") continue;
              if (text === "") firstMs = performance.now() - startedMs;
              text += piece;
              onToken?.();
            }
          }
        });
        response.on("end", () => {
          if (!isDone) failure ??= "the stream ended without [DONE]";
          end();
        });
        response.on("error", (error) => {
          failure ??= error.message;
          end();
        });
      },
    );
    call.on("error", (error) => {
      failure ??= error.message;
      end();
    });
    call.end(body);
  });
}

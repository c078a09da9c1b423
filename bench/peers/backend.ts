/**
 * One engine server of the comparison, in a process of its own: it paces tokens as an engine would and says the alphabet,
 * each letter after the last of the prompt, so that whoever resumes a stream elsewhere resumes it right or visibly wrong.
 * It speaks `/v1/completions` as vLLM does, to text prompts (peers) and to token prompts (ours; an id is a byte).
 *
 *   node backend.ts PORT PREFILL_MS STEP_MS
 */
import { createServer, type ServerResponse } from "node:http";
import { successor } from "./alphabet.ts";

const [port, prefillMs, stepMs] = process.argv.slice(2).map(Number) as [number, number, number];
let running = 0;

const json = (response: ServerResponse, value: unknown): void => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};
const model = { id: "bench", object: "model", created: 1, owned_by: "bench", max_model_len: 8_192 };
/** What the peers ask of a worker before they use it. */
const info = {
  model_path: "bench",
  tokenizer_path: "",
  served_model_name: "bench",
  is_generation: true,
  model_type: "llama",
  tp_size: 1,
  dp_size: 1,
  max_total_num_tokens: 1_000_000,
};

const server = createServer((request, response) => {
  const path = (request.url ?? "/").split("?")[0]!;
  if (request.method === "POST" && path === "/v1/completions") {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += String(chunk)));
    request.on("end", () => complete(JSON.parse(text) as Body, response));
    return;
  }
  if (path === "/v1/models") return json(response, { object: "list", data: [model] });
  if (path === "/metrics") {
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" });
    response.end(
      [
        `vllm:cache_config_info{block_size="16",num_gpu_blocks="60000",engine="0"} 1`,
        `vllm:num_requests_running{engine="0",model_name="bench"} ${running}`,
        `vllm:num_requests_waiting{engine="0",model_name="bench"} 0`,
        `vllm:kv_cache_usage_perc{engine="0",model_name="bench"} 0.1`,
        "",
      ].join("\n"),
    );
    return;
  }
  if (path === "/version") return json(response, { version: "0.29.0" });
  if (/info|load/.test(path)) return json(response, info);
  response.writeHead(200).end("OK");
});
server.keepAliveTimeout = 600_000;
server.listen(port, "127.0.0.1", () => process.send?.("ready"));

interface Body {
  readonly prompt: string | readonly number[];
  readonly max_tokens: number;
  readonly stream?: boolean;
}

function complete(body: Body, response: ServerResponse): void {
  const { prompt } = body;
  let last = typeof prompt === "string" ? prompt.charCodeAt(prompt.length - 1) : prompt[prompt.length - 1]!;
  response.writeHead(200, { "content-type": "text/event-stream" });
  running += 1;
  let told = 0;
  let timer: NodeJS.Timeout | undefined;
  const due = performance.now() + prefillMs;
  const tell = (): void => {
    // Late timers are caught up with, as an engine's steps would be.
    const ready = stepMs === 0 ? body.max_tokens : Math.floor((performance.now() - due) / stepMs) + 1;
    let frames = "";
    while (told < Math.min(ready, body.max_tokens)) {
      told += 1;
      last = successor(last);
      const end = told === body.max_tokens ? `"length"` : "null";
      frames += `data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"bench","choices":[{"index":0,"text":"${String.fromCharCode(last)}","logprobs":null,"finish_reason":${end},"stop_reason":null,"token_ids":[${last}]}]}\n\n`;
    }
    if (frames !== "") response.write(frames);
    if (told < body.max_tokens) {
      timer = setTimeout(tell, Math.max(1, due + told * stepMs - performance.now()));
      return;
    }
    response.end("data: [DONE]\n\n");
  };
  response.on("close", () => {
    running -= 1;
    clearTimeout(timer);
  });
  timer = setTimeout(tell, prefillMs);
}

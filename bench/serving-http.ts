/**
 * Tokens per second through server-sent events, one event per token, detokenized: `createOpenAIServer` on an engine in
 * process, a raw-socket counting client in a process of its own.
 *
 *   npm run bench -- serving-http [--streams 64] [--tokens 20000] [--steps 4] [--stop] [--json]
 *
 * `--steps` is how many engine steps of all streams become ready per turn of the event loop: 1 is the hardest case (a write
 * per token), a session under load delivers several. `--stop` adds stop strings.
 */
import { fork } from "node:child_process";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { createOpenAIServer } from "@stator/frontend";
import { defineEngine, type Engine } from "@stator/core";

interface Counted {
  readonly events: number;
  readonly bytes: number;
  readonly seconds: number;
}

export async function run(args: readonly string[]): Promise<unknown> {
  const streams = option(args, "--streams", 64);
  const tokens = option(args, "--tokens", 20_000);
  const steps = option(args, "--steps", 4);
  const server = createOpenAIServer({ models: { bench: steppedEngine(streams, steps, tokens) } });
  const { port } = await server.listen({ port: 0 });
  const body = JSON.stringify({
    model: "bench",
    prompt: "The quick brown fox",
    max_tokens: tokens,
    stream: true,
    ignore_eos: true,
    ...(args.includes("--stop") ? { stop: ["never said", "###"] } : {}),
  });
  const client = fork(fileURLToPath(import.meta.url), [String(port), String(streams), body], { execArgv: process.execArgv.concat("--import", "tsx") });
  await new Promise((resolve) => client.once("message", resolve));
  const cpu = process.cpuUsage();
  client.send("go");
  const counted = await new Promise<Counted>((resolve, reject) => {
    client.once("message", (message) => resolve(message as Counted));
    client.once("exit", () => reject(new Error("The client died.")));
  });
  const used = process.cpuUsage(cpu);
  await server.close();
  const all = streams * tokens;
  return {
    streams,
    tokensPerStream: tokens,
    stepsPerTurn: steps,
    tokensPerSecond: Math.round(all / counted.seconds),
    cpuMicrosecondsPerToken: Number(((used.user + used.system) / all).toFixed(2)),
    events: counted.events,
    bytesPerToken: Number((counted.bytes / all).toFixed(1)),
    seconds: Number(counted.seconds.toFixed(3)),
  };
}

/** All streams step together, `steps` tokens each per turn of the loop, as a session's frames arrive. */
function steppedEngine(streams: number, steps: number, tokens: number): Engine {
  const waiting: (() => void)[] = [];
  const vocab: Record<string, number> = {};
  const words = ["the", " quick", " brown", " fox", " jumps", " over", " a", " lazy", " dog", ".", ",", " and", " then"];
  for (let id = 0; id < 256; id++) vocab[byteCharacter(id)] = id;
  for (const word of words) vocab[word.replaceAll(" ", "Ġ")] ??= Object.keys(vocab).length;
  const first = 256;
  const count = Object.keys(vocab).length - first;
  const tick = (): void => {
    for (const resume of waiting.splice(0)) resume();
  };
  const tokenizer = {
    json: JSON.stringify({
      version: "1.0", added_tokens: [], normalizer: null, post_processor: null, decoder: { type: "ByteLevel" },
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      model: { type: "BPE", vocab, merges: [] },
    }),
    digest: "bench",
    specialIds: { eos: [] },
  };
  return defineEngine({ model: "bench", contextTokens: tokens + 1000, tokenizer }, async function* (request) {
    let next = request.promptIds.length;
    for (;;) {
      if (waiting.push(() => {}) === streams) setImmediate(tick);
      await new Promise<void>((resolve) => (waiting[waiting.length - 1] = resolve));
      for (let i = 0; i < steps; i++) yield { ids: [first + (next++ % count)] };
    }
  });
}

function byteCharacter(byte: number): string {
  const isPrintable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  if (isPrintable(byte)) return String.fromCodePoint(byte);
  let extra = 0;
  for (let b = 0; b < byte; b++) if (!isPrintable(b)) extra++;
  return String.fromCodePoint(256 + extra);
}

function option(args: readonly string[], name: string, otherwise: number): number {
  const at = args.indexOf(name);
  return at < 0 ? otherwise : Number(args[at + 1]);
}

/** The client process: opens all streams, counts `data: ` and bytes, looks at nothing else. */
function count(port: number, streams: number, body: string): void {
  let open = streams;
  let events = 0;
  let bytes = 0;
  let startedAt = 0;
  process.send?.("ready");
  process.once("message", () => {
    startedAt = performance.now();
    for (let i = 0; i < streams; i++) {
      const socket = connect(port, "127.0.0.1");
      let tail = "";
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        const text = tail + chunk.latin1Slice();
        for (let at = text.indexOf("data: "); at >= 0; at = text.indexOf("data: ", at + 6)) events++;
        tail = text.slice(-5);
        if (!text.includes("[DONE]")) return;
        socket.destroy();
        if (--open > 0) return;
        process.send?.({ events, bytes, seconds: (performance.now() - startedAt) / 1000 });
        process.disconnect?.();
      });
    }
  });
}

if (process.send !== undefined && process.argv.length === 5) count(Number(process.argv[2]), Number(process.argv[3]), process.argv[4] ?? "");

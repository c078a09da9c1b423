/**
 * Tokens per second through server-sent events, one event per token, detokenized: `createOpenAIServer` and a raw-socket
 * counting client in a process of its own.
 *
 *   npm run bench -- serving-http [--streams 64] [--tokens 20000] [--steps 4 | --session] [--stop] [--json]
 *
 * Without `--steps` and `--session` it measures one write per token, four tokens per write, and the whole path.
 * The engine is in process, and `--steps` is how many engine steps of all streams become ready per turn of the event loop:
 * 1 is the hardest case, a write per token. With `--session` it is the whole path: migrating, pool, session, and the
 * simulated engine at zero step time in a worker process. `--stop` adds stop strings.
 */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineEngine, type Engine } from "@stator/core";
import { createOpenAIServer } from "@stator/frontend";
import { createCountingClient } from "./parts/counting-client.ts";

interface Graph {
  readonly engine: Engine;
  close(): Promise<void>;
}

export async function run(args: readonly string[]): Promise<unknown> {
  if (args.some((argument) => argument === "--steps" || argument === "--session")) return measure(args);
  return {
    writePerToken: await measure([...args, "--steps", "1"]),
    fourTokensPerWrite: await measure([...args, "--steps", "4"]),
    wholePath: await measure([...args, "--session"]),
  };
}

async function measure(args: readonly string[]): Promise<unknown> {
  const streams = option(args, "--streams", 64);
  const tokens = option(args, "--tokens", 20_000);
  const steps = option(args, "--steps", 4);
  const isSession = args.includes("--session");
  const graph = isSession
    ? await sessionGraph(streams, tokens)
    : { engine: steppedEngine(streams, steps, tokens), close: () => Promise.resolve() };
  const server = createOpenAIServer({ models: { bench: graph.engine } });
  const { port } = await server.listen({ port: 0 });
  const body = JSON.stringify({
    model: "bench",
    prompt: "The quick brown fox",
    max_tokens: tokens,
    stream: true,
    ignore_eos: true,
    ...(args.includes("--stop") ? { stop: ["never said", "###"] } : {}),
  });
  const client = await createCountingClient();
  const cpu = process.cpuUsage();
  const counted = await client.run({ port, streams, body });
  const used = process.cpuUsage(cpu);
  client.close();
  await server.close();
  await graph.close();
  const all = streams * tokens;
  return {
    path: isSession
      ? "migrating, pool, session, simulated engine in a worker process"
      : `engine in process, ${steps} steps per turn`,
    streams,
    tokensPerStream: tokens,
    tokensPerSecond: Math.round(all / counted.seconds),
    cpuMicrosecondsPerToken: Number(((used.user + used.system) / all).toFixed(2)),
    events: counted.events,
    bytesPerToken: Number((counted.bytes / all).toFixed(1)),
    ...(counted.failures.length === 0
      ? {}
      : { failed: counted.failures.length, firstFailure: counted.failures[0] }),
    seconds: Number(counted.seconds.toFixed(3)),
  };
}

function child(...args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args, {
    execArgv: ["--import", "tsx"],
  });
}

function message(from: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    from.once("message", resolve);
    from.once("exit", (code) => reject(new Error(`A child process ended with ${code}.`)));
  });
}

async function sessionGraph(streams: number, tokens: number): Promise<Graph> {
  const { createRuntime, fileDiscovery } = await import("@stator/runtime");
  const { createPool, migrating } = await import("@stator/router");
  const folder = mkdtempSync(path.join(tmpdir(), "stator-bench-"));
  const worker = child("worker", folder, String(streams), String(tokens));
  await message(worker);
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir: folder }) });
  const workers = runtime.workers({ model: "bench" });
  const pool = createPool({ workers });
  while (pool.card === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  return {
    engine: migrating(pool),
    async close() {
      await pool.close?.();
      await runtime.close();
      worker.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The worker process of `--session`. */
async function work(folder: string, streams: number, tokens: number): Promise<void> {
  const { createRuntime, fileDiscovery } = await import("@stator/runtime");
  const { createSimulatedEngine } = await import("@stator/engines/simulated");
  const runtime = await createRuntime({ discovery: fileDiscovery({ dir: folder }) });
  const engine = createSimulatedEngine({
    model: "bench",
    contextTokens: tokens + 1000,
    kvBlocks: Math.ceil(((tokens + 1000) / 16) * streams),
    maxRunning: streams,
  });
  await runtime.serveEngine(engine, { role: "both", capacity: { requests: streams } });
  process.send?.("ready");
}

/** All streams step together, `steps` tokens each per turn of the loop, as a session's frames arrive. */
function steppedEngine(streams: number, steps: number, tokens: number): Engine {
  const waiting: (() => void)[] = [];
  const vocab: Record<string, number> = {};
  const words = [
    "the",
    " quick",
    " brown",
    " fox",
    " jumps",
    " over",
    " a",
    " lazy",
    " dog",
    ".",
    ",",
    " and",
    " then",
  ];
  for (let id = 0; id < 256; id++) vocab[byteCharacter(id)] = id;
  for (const word of words) vocab[word.replaceAll(" ", "Ġ")] ??= Object.keys(vocab).length;
  const first = 256;
  const count = Object.keys(vocab).length - first;
  const tick = (): void => {
    for (const resume of waiting.splice(0)) resume();
  };
  const tokenizer = {
    json: JSON.stringify({
      version: "1.0",
      added_tokens: [],
      normalizer: null,
      post_processor: null,
      decoder: { type: "ByteLevel" },
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

const [mode, ...rest] = process.argv.slice(2);
if (process.send !== undefined && mode === "worker")
  await work(rest[0] ?? "", Number(rest[1]), Number(rest[2]));

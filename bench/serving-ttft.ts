/**
 * What server, graph, session and both processes add to the time to the first token: the same requests at the same times
 * once at the engine itself, in this process, and once over HTTP through the whole path (frontend process, migrating, pool,
 * session, worker process). Steps of 10 ms, open loop with Poisson arrivals, half load: on average half of the worker's 64
 * places run.
 *
 *   npm run bench -- serving-ttft [--requests 600] [--rate 50] [--output 64] [--json]
 *
 * Both sides stop the clock at the first *text*: an emoji is four tokens of the simulated engine, and no client sees a
 * quarter of a character. The client is a raw socket in a process of its own, so that what it costs is not counted as ours.
 */
import { fork } from "node:child_process";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRequest, parseLayout, silentLogger, type Layout } from "@stator/core";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { distribution, up, type Distribution } from "stator";

export interface AddedTtft {
  readonly p50: number;
  readonly p99: number;
  readonly direct: Distribution;
  readonly through: Distribution;
}

interface Load {
  readonly requests: number;
  readonly ratePerSecond: number;
  readonly outputTokens: number;
}

const stepMs = 10;
const promptTokens = 96;
/** Requests at full speed before the clock counts, so that a server that has worked for a while is measured: compiled code, caches. */
const warmUpRequests = 4_000;
/** Requests of the open loop before the clock counts: until as many run as will. */
const rampUp = 100;
const main = path.resolve("packages/cli/dist/main.js");

export async function run(args: readonly string[]): Promise<AddedTtft> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      requests: { type: "string", default: "600" },
      rate: { type: "string", default: "50" },
      output: { type: "string", default: "64" },
    },
  });
  const load: Load = {
    requests: Number(values.requests),
    ratePerSecond: Number(values.rate),
    outputTokens: Number(values.output),
  };
  const direct = distribution(await directTtfts(load));
  const through = distribution(await throughTtfts(load));
  return { p50: round(through.p50 - direct.p50), p99: round(through.p99 - direct.p99), direct, through };
}

async function directTtfts({ requests, ratePerSecond, outputTokens }: Load): Promise<number[]> {
  const engine = createSimulatedEngine({
    stepTime: linearStepTime({ baseMs: stepMs }),
    kvBlocks: 65_536,
    maxRunning: 64,
  });
  const one = async (index: number): Promise<number | undefined> => {
    const startMs = performance.now();
    const decoder = new TextDecoder();
    let ttftMs: number | undefined;
    const request = createRequest({
      id: String(index),
      model: "simulated",
      promptIds: new Uint32Array(Buffer.from(promptOf(index))),
      limits: { maxTokens: outputTokens, ignoreEos: true },
    });
    for await (const { ids } of engine.generate(request, { signal: new AbortController().signal })) {
      if (ttftMs === undefined && decoder.decode(Uint8Array.from(ids), { stream: true }) !== "")
        ttftMs = performance.now() - startMs;
    }
    return ttftMs;
  };
  return openLoop(requests + rampUp, ratePerSecond, one);
}

async function throughTtfts(load: Load): Promise<number[]> {
  await using running = await up({ layout: layout(), main, logLevel: "silent", logger: silentLogger });
  const client = fork(fileURLToPath(import.meta.url), ["client", running.url, JSON.stringify(load)], {
    execArgv: ["--import", "tsx"],
  });
  return await new Promise((resolve, reject) => {
    client.once("message", (ttfts) => resolve(ttfts as number[]));
    client.once("exit", (code) => reject(new Error(`The client ended with ${code}.`)));
  });
}

function layout(): Layout {
  const engine = { kind: "simulated", stepMs, kvBlocks: 65_536, sequences: 64 };
  return parseLayout({
    namespace: `bench-${process.pid}`,
    frontend: { port: 0 },
    models: { simulated: { pools: { all: { role: "both", replicas: 1, engine } } } },
  });
}

/** Runs `one` at Poisson arrivals, the same ones each time; its results without the ramp-up. */
async function openLoop(
  requests: number,
  ratePerSecond: number,
  one: (index: number) => Promise<number | undefined>,
): Promise<number[]> {
  const running: Promise<number | undefined>[] = [];
  let state = 1;
  let dueMs = performance.now();
  for (let i = 0; i < requests; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    dueMs += (-Math.log((state + 1) / 4_294_967_297) * 1000) / ratePerSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    running.push(one(i));
  }
  const ttfts = await Promise.all(running);
  return ttfts.slice(rampUp).filter((ttft) => ttft !== undefined);
}

/** Different beginnings, so that nothing is found in a prefix cache; a token is a byte. */
function promptOf(index: number): string {
  const codes = Array.from(
    { length: promptTokens },
    (_, i) => 97 + ((i * 31 + index * 7 + (index >> 4)) % 26),
  );
  return String.fromCharCode(...codes);
}

/** The client process: one request per idle keep-alive connection, the clock stopped at the first event. */
async function client(url: string, { requests, ratePerSecond, outputTokens }: Load): Promise<void> {
  const { hostname, port } = new URL(url);
  const idle: Socket[] = [];
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => resolve(socket));
      socket.once("error", reject);
      // The server ends connections that are idle for long.
      socket.once("close", () => {
        const at = idle.indexOf(socket);
        if (at >= 0) idle.splice(at, 1);
      });
    });
  const ask = async (index: number, maxTokens: number): Promise<number | undefined> => {
    const body = JSON.stringify({
      model: "simulated",
      prompt: promptOf(index),
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
    });
    const socket = idle.shift() ?? (await open());
    return new Promise<number | undefined>((resolve, reject) => {
      const startMs = performance.now();
      let ttftMs: number | undefined;
      let tail = "";
      const onClose = (): void => reject(new Error(`A connection closed after: ${tail}`));
      socket.once("close", onClose);
      const onData = (chunk: Buffer): void => {
        const text = tail + chunk.latin1Slice();
        if (ttftMs === undefined && text.includes("data: ")) ttftMs = performance.now() - startMs;
        tail = text.slice(-16);
        if (!tail.endsWith("\r\n0\r\n\r\n")) return;
        socket.off("data", onData);
        socket.off("close", onClose);
        idle.push(socket);
        resolve(ttftMs);
      };
      socket.on("data", onData);
      socket.write(
        `POST /v1/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    });
  };
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < warmUpRequests) await ask(1_000_000 + next++, 2);
  };
  await Promise.all(Array.from({ length: 32 }, lane));
  const ttfts = await openLoop(requests + rampUp, ratePerSecond, (index) => ask(index, outputTokens));
  process.send?.(ttfts, () => process.exit(0));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

const [mode, url, load] = process.argv.slice(2);
if (process.send !== undefined && mode === "client") await client(url ?? "", JSON.parse(load ?? "") as Load);

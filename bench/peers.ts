/**
 * Our frontend and the routers of others before the same simulated engine servers, side by side: requests per second and
 * processor time per token at full speed, the time that is added to the first token at a steady rate, and what the clients
 * see when one of four engines is killed under its streams.
 *
 *   npm run bench -- peers [--bin /path/to/venv/bin] [--only NAME] [--part NAME] [--json]
 *
 * `--bin` (or STATOR_PEERS) is the `bin` folder of a Python environment with the peers:
 * `pip install sglang-router smg vllm-router`. Without it only ours is measured, and the engines alone.
 * What each does differs: the peers pass bytes on; ours tokenizes, names blocks, routes by them, journals and detokenizes.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { alphabetAfter, byteTokenizer } from "./peers/alphabet.ts";
import { stream, type Seen } from "./peers/client.ts";
import { freePort, peersIn, startOurs, stator, type Running, type System } from "./peers/systems.ts";

const engines = 4;
const promptCharacters = 512;

export async function run(args: readonly string[]): Promise<unknown> {
  const bin = valueOf(args, "--bin") ?? process.env["STATOR_PEERS"];
  const only = valueOf(args, "--only");
  const chosen = valueOf(args, "--part");
  const parts = Object.entries({ atFullSpeed, atPace, atSteadyRate, engineKilled });
  const folder = mkdtempSync(path.join(tmpdir(), "stator-peers-"));
  const tokenizerPath = path.join(folder, "tokenizer.json");
  writeFileSync(tokenizerPath, byteTokenizer());
  const systems: readonly System[] = [
    direct,
    stator(tokenizerPath),
    ...(bin === undefined ? [] : peersIn(bin, versionsIn(bin))),
  ].filter(({ name }) => only === undefined || only === name);
  const results: Record<string, unknown> = {};
  try {
    for (const system of systems) {
      try {
        const entries: [string, unknown][] = [];
        for (const [name, part] of parts)
          if (!(system === direct && part === engineKilled) && (chosen === undefined || chosen === name))
            entries.push([name, await part(system)]);
        results[system.name] = { what: system.what, ...Object.fromEntries(entries) };
      } catch (error) {
        results[system.name] = { what: system.what, failed: String(error) };
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return {
    engines,
    promptCharacters,
    ...(bin === undefined
      ? { skipped: "peers: give --bin, a folder with sglang-router, smg and vllm-router" }
      : {}),
    results,
  };
}

/** No router: requests go to the engines in turn. */
const direct: System = {
  name: "direct",
  what: "the client asks the engines itself, in turn",
  start: () => Promise.reject(new Error("there is nothing to start")),
};

interface Stand {
  /** Port to send the nth request to. */
  port(n: number): number;
  readonly router: Running | undefined;
  readonly backends: readonly Running[];
}

async function withStand<T>(
  system: System,
  pace: { readonly prefillMs: number; readonly stepMs: number },
  act: (stand: Stand) => Promise<T>,
): Promise<T> {
  const backends: Running[] = [];
  let router: Running | undefined;
  try {
    for (let i = 0; i < engines; i++)
      backends.push(
        await startOurs("backend.ts", [String(pace.prefillMs), String(pace.stepMs)], await freePort()),
      );
    if (system !== direct)
      router = await system.start(backends.map(({ port }) => `http://127.0.0.1:${port}`));
    return await act({ port: (n) => router?.port ?? backends[n % engines]!.port, router, backends });
  } finally {
    await Promise.all([router?.close(), ...backends.map((backend) => backend.close())]);
  }
}

/** Prompts of which half begin as others do, as those of a service would. */
function promptOf(n: number): string {
  const shared = `Instructions ${n % 16}: `.padEnd(promptCharacters / 2, "be brief. ");
  return `${shared}${`${n} `.padEnd(promptCharacters / 2 - 1, "of what was asked ")}.`;
}

/** 32 clients, each with its next request as soon as the last is over; engines that answer at once. */
async function atFullSpeed(system: System): Promise<unknown> {
  const [clients, tokens, warmUp, requests] = [32, 64, 200, 1_500];
  return withStand(system, { prefillMs: 0, stepMs: 0 }, async (stand) => {
    let next = 0;
    let wrong = 0;
    const until = async (end: number): Promise<void> => {
      const work = async (): Promise<void> => {
        while (next < end) {
          const n = next++;
          const prompt = promptOf(n);
          const seen = await stream({ port: stand.port(n), prompt, tokens });
          if (!isWhole(seen, prompt, tokens)) wrong += 1;
        }
      };
      await Promise.all(Array.from({ length: clients }, work));
    };
    await until(warmUp);
    const cpu = stand.router?.cpuSeconds() ?? 0;
    const startedMs = performance.now();
    await until(warmUp + requests);
    const seconds = (performance.now() - startedMs) / 1_000;
    const used = (stand.router?.cpuSeconds() ?? 0) - cpu;
    return {
      clients,
      tokensPerRequest: tokens,
      requestsPerSecond: Math.round(requests / seconds),
      tokensPerSecond: Math.round((requests * tokens) / seconds),
      ...(stand.router === undefined
        ? {}
        : {
            routerCpuMsPerRequest: round((used * 1_000) / requests),
            routerCpuMicrosecondsPerToken: round((used * 1e6) / (requests * tokens)),
          }),
      ...(wrong === 0 ? {} : { wrongOrBroken: wrong }),
    };
  });
}

/** 64 streams at once from engines with a step of 20 ms: every token is an event, a read and a write of its own. */
async function atPace(system: System): Promise<unknown> {
  const [streams, tokens, rounds] = [64, 100, 3];
  return withStand(system, { prefillMs: 0, stepMs: 20 }, async (stand) => {
    let wrong = 0;
    const all = async (from: number, length: number): Promise<void> => {
      const work = Array.from({ length: streams }, async (_, i) => {
        const prompt = promptOf(from + i);
        const seen = await stream({ port: stand.port(i), prompt, tokens: length });
        if (!isWhole(seen, prompt, length)) wrong += 1;
      });
      await Promise.all(work);
    };
    await all(0, tokens);
    const cpu = stand.router?.cpuSeconds() ?? 0;
    for (let i = 1; i <= rounds; i++) await all(i * streams, tokens);
    const used = (stand.router?.cpuSeconds() ?? 0) - cpu;
    return {
      streams,
      stepMs: 20,
      ...(stand.router === undefined
        ? {}
        : { routerCpuMicrosecondsPerToken: round((used * 1e6) / (rounds * streams * tokens)) }),
      ...(wrong === 0 ? {} : { wrongOrBroken: wrong }),
    };
  });
}

/** 40 requests a second, 20 ms to the first token and 5 ms a step at the engines. */
async function atSteadyRate(system: System): Promise<unknown> {
  const [tokens, requests, everyMs] = [32, 400, 25];
  return withStand(system, { prefillMs: 20, stepMs: 5 }, async (stand) => {
    const send = async (count: number, from: number): Promise<Seen[]> => {
      const runs: Promise<Seen>[] = [];
      for (let n = from; n < from + count; n++) {
        runs.push(stream({ port: stand.port(n), prompt: promptOf(n), tokens }));
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
      return Promise.all(runs);
    };
    await send(60, 0);
    const seen = await send(requests, 60);
    const firstMs = seen.map((one) => one.firstMs).sort((x, y) => x - y);
    const wholeMs = seen.map((one) => one.endMs).sort((x, y) => x - y);
    return {
      firstTokenMs: { p50: at(firstMs, 0.5), p99: at(firstMs, 0.99) },
      wholeMs: { p50: at(wholeMs, 0.5), p99: at(wholeMs, 0.99) },
      broken: seen.filter((one, i) => !isWhole(one, promptOf(60 + i), tokens)).length,
    };
  });
}

/** 64 streams run on four engines when one of these gets SIGKILL; then 64 more are sent. */
async function engineKilled(system: System): Promise<unknown> {
  const [tokens, streams] = [200, 64];
  return withStand(system, { prefillMs: 20, stepMs: 10 }, async (stand) => {
    let told = 0;
    let killed = false;
    const onToken = (): void => {
      told += 1;
      if (told < streams * 50 || killed) return;
      killed = true;
      stand.backends[0]!.kill("SIGKILL");
    };
    const during = await Promise.all(
      Array.from({ length: streams }, (_, n) =>
        stream({ port: stand.port(n), prompt: promptOf(n), tokens, onToken }),
      ),
    );
    const after = await Promise.all(
      Array.from({ length: streams }, (_, n) =>
        stream({ port: stand.port(n), prompt: promptOf(n + streams), tokens: 20 }),
      ),
    );
    const tally = (seen: readonly Seen[], from: number, length: number): unknown => {
      const broken = seen.filter((one, i) => !isWhole(one, promptOf(from + i), length));
      return {
        whole: seen.length - broken.length,
        broken: broken.length,
        ...(broken.length === 0 ? {} : { firstFailure: broken[0]!.failure ?? "another text" }),
      };
    };
    return {
      streams,
      tokensPerStream: tokens,
      during: tally(during, 0, tokens),
      sentAfter: tally(after, streams, 20),
    };
  });
}

function isWhole(seen: Seen, prompt: string, tokens: number): boolean {
  return seen.failure === undefined && seen.text === alphabetAfter(prompt, tokens);
}

const at = (sorted: readonly number[], quantile: number): number =>
  round(sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.NaN);
const round = (value: number): number => Number(value.toFixed(2));

function valueOf(args: readonly string[], name: string): string | undefined {
  const index = args.indexOf(name);
  return index < 0 ? undefined : args[index + 1];
}

/** Releases of the peers that are installed there. */
function versionsIn(bin: string): Record<string, string> {
  const code = [
    "import json, importlib.metadata as m",
    "names = ['sglang-router', 'smg', 'vllm-router']",
    "print(json.dumps({d.name: d.version for d in m.distributions() if d.name in names}))",
  ].join("\n");
  return JSON.parse(execFileSync(path.join(bin, "python"), ["-c", code], { encoding: "utf8" })) as Record<
    string,
    string
  >;
}

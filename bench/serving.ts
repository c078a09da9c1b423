// The serving figures together: `npm run bench -- serving --json` →
// `{ routerPath, http, addedTtftMs: { p50, p99 }, rssMb: { frontend, worker } }`.
// `--requests N` is how many go through the whole system for the memory figure (default 10,000).
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { createRequest, parseLayout, silentLogger, type Layout } from "@stator/core";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { distribution, runLoad, up, type Up } from "stator";
import { run as runHttp } from "./serving-http.ts";
import { run as runRouterPath } from "./serving-router-path.ts";

const main = path.resolve("packages/cli/dist/main.js");
const stepMs = 10;
const ratePerSecond = 20;
const ttftRequests = 400;

export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({
    args: [...args],
    options: { requests: { type: "string", default: "10000" } },
  });
  const { routerPath } = await runRouterPath([]);
  const http = await runHttp(["--session"]);
  return { routerPath, http, addedTtftMs: await addedTtft(), rssMb: await memory(Number(values.requests)) };
}

function layout(stepDurationMs: number): Layout {
  const engine = { kind: "simulated", stepMs: stepDurationMs };
  return parseLayout({
    namespace: `bench-${process.pid}`,
    frontend: { port: 0 },
    models: { simulated: { pools: { all: { role: "both", replicas: 1, engine } } } },
  });
}

/** What server, graph and session add to the time to the first token, at 10 ms steps, open loop. */
async function addedTtft(): Promise<{ p50: number; p99: number; direct: object; through: object }> {
  const direct = distribution(await directTtfts());
  await using running = await up({ layout: layout(stepMs), main, logLevel: "silent", logger: silentLogger });
  const load = { url: running.url, endpoint: "completions" as const, inputWords: 16, outputTokens: 16 };
  await runLoad({ ...load, requests: 50 });
  const { ttftMs: through } = await runLoad({ ...load, ratePerSecond, requests: ttftRequests });
  return { p50: round(through.p50 - direct.p50), p99: round(through.p99 - direct.p99), direct, through };
}

/** The same arrivals at the engine itself, in this process. */
async function directTtfts(): Promise<number[]> {
  const engine = createSimulatedEngine({ stepTime: linearStepTime({ baseMs: stepMs }) });
  const ttfts: number[] = [];
  const one = async (index: number): Promise<void> => {
    const promptIds = Uint32Array.from({ length: 96 }, (_, i) => (i * 31 + index * 7) % 250);
    const startMs = performance.now();
    let isFirst = true;
    for await (const _ of engine.generate(
      createRequest({ id: String(index), model: "simulated", promptIds }),
      { signal: new AbortController().signal },
    )) {
      if (isFirst) ttfts.push(performance.now() - startMs);
      isFirst = false;
    }
  };
  const running: Promise<void>[] = [];
  let dueMs = performance.now();
  for (let i = 0; i < ttftRequests; i++) {
    dueMs += (-Math.log(1 - Math.random()) * 1000) / ratePerSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    running.push(one(i));
  }
  await Promise.all(running);
  return ttfts;
}

/** Resident memory of frontend and worker at a fifth of the requests and at their end: flat is the aim. */
async function memory(requests: number): Promise<Record<string, { early: number; end: number }>> {
  await using running = await up({ layout: layout(0), main, logLevel: "silent", logger: silentLogger });
  const load = {
    url: running.url,
    endpoint: "completions" as const,
    inputWords: 32,
    outputTokens: 32,
    concurrency: 32,
  };
  await runLoad({ ...load, requests: Math.round(requests / 5) });
  const early = await residentMb(running);
  await runLoad({ ...load, requests: Math.round((requests * 4) / 5), seed: 2 });
  const end = await residentMb(running);
  return Object.fromEntries(
    Object.keys(early).map((name) => [name, { early: early[name]!, end: end[name]! }]),
  );
}

async function residentMb(running: Up): Promise<Record<string, number>> {
  const entries = running.supervisor.processes.map(async ({ spec, pid }) => {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const kib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    return [spec.name.startsWith("frontend") ? "frontend" : "worker", Math.round(kib / 1024)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

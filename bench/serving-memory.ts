/**
 * Resident memory of the frontend and a worker while requests go through the whole system at zero step time, 32 at once:
 * read every 2,000 requests. `growthMb` is the mean of the last third of the readings less the mean of the third before it.
 *
 *   npm run bench -- serving-memory [--requests 20000] [--json]
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { parseLayout, silentLogger } from "@stator/core";
import { runLoad, up, type Up } from "stator";

interface Memory {
  /** After each 2,000 requests, MB. */
  readonly series: readonly number[];
  readonly growthMb: number;
}

const between = 2_000;
const main = path.resolve("packages/cli/dist/main.js");

export async function run(args: readonly string[]): Promise<Record<"frontend" | "worker", Memory>> {
  const { values } = parseArgs({
    args: [...args],
    options: { requests: { type: "string", default: "20000" } },
  });
  const layout = parseLayout({
    namespace: `bench-${process.pid}`,
    frontend: { port: 0 },
    models: {
      simulated: { pools: { all: { role: "both", replicas: 1, engine: { kind: "simulated", stepMs: 0 } } } },
    },
  });
  await using running = await up({ layout, main, logLevel: "silent", logger: silentLogger });
  const frontend: number[] = [];
  const worker: number[] = [];
  for (let done = 0; done < Number(values.requests); done += between) {
    await runLoad({
      url: running.url,
      endpoint: "completions",
      inputWords: 32,
      outputTokens: 32,
      concurrency: 32,
      requests: between,
      seed: 1 + done,
    });
    frontend.push(await residentMb(running, "frontend"));
    worker.push(await residentMb(running, "simulated"));
  }
  return { frontend: memoryOf(frontend), worker: memoryOf(worker) };
}

async function residentMb({ supervisor }: Up, name: string): Promise<number> {
  const found = supervisor.processes.find(({ spec }) => spec.name.startsWith(name));
  const status = await readFile(`/proc/${found?.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

function memoryOf(series: readonly number[]): Memory {
  const third = Math.max(1, Math.floor(series.length / 3));
  const last = mean(series.slice(-third));
  const before = mean(series.slice(-2 * third, -third));
  return { series, growthMb: Math.round(last - before) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

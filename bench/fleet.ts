// 4 routers in front of the same 50 workers, all in this process over memory sessions: processor time per request (routers,
// sessions and simulated engines together) and how long a KV event takes from its worker to each router.
// `npm run bench -- fleet [--routers 4] [--workers 50] [--requests 2000] [--json]`.
import { parseArgs } from "node:util";
import { createRequest } from "@stator/core";
import { createSimulatedEngine, linearStepTime } from "@stator/engines/simulated";
import { createPool } from "@stator/router";
import { createRuntime, memoryDiscovery } from "@stator/runtime";

interface Result {
  readonly routers: number;
  readonly workers: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Of the whole process, per request of 512 prompt tokens and 8 output tokens. */
  readonly cpuMsPerRequest: number;
  /** From the worker's own status to the router's, in milliseconds. */
  readonly eventLagMs: { readonly p50: number; readonly p99: number; readonly samples: number };
}

const promptTokens = 512;
const outputTokens = 8;
const concurrency = 64;

export async function run(args: readonly string[]): Promise<Result> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      routers: { type: "string", default: "4" },
      workers: { type: "string", default: "50" },
      requests: { type: "string", default: "2000" },
    },
  });
  const [routers, workers, requests] = [values.routers, values.workers, values.requests].map(Number) as [
    number,
    number,
    number,
  ];
  const discovery = memoryDiscovery();
  const toldMs = new Map<string, number>();
  const lagsMs: number[] = [];
  await using fleet = await createRuntime({ discovery });
  for (let i = 0; i < workers; i++) {
    const engine = createSimulatedEngine({ model: "tiny", stepTime: linearStepTime({ baseMs: 5 }) });
    const id = `w${i}`;
    engine.onStatus?.(({ events }) => {
      for (const { sequence } of events ?? []) toldMs.set(`${id}/${sequence}`, performance.now());
    });
    await fleet.serveEngine(engine, { role: "both", id });
  }
  const runtimes = await Promise.all(Array.from({ length: routers }, () => createRuntime({ discovery })));
  const pools = runtimes.map((runtime) => createPool({ workers: runtime.workers({ model: "tiny" }) }));
  try {
    while (pools.some(({ counts }) => counts.workers < workers)) await pause(5);
    for (const runtime of runtimes) {
      for (const { worker, engine } of runtime.workers().current()) {
        engine.onStatus?.(({ events }) => {
          for (const { sequence, isSnapshot } of events ?? []) {
            const told = toldMs.get(`${worker.id}/${sequence}`);
            if (told !== undefined && isSnapshot !== true) lagsMs.push(performance.now() - told);
          }
        });
      }
    }
    const cpu = process.cpuUsage();
    const startedMs = performance.now();
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let i = next++; i < requests; i = next++) {
        // Every fourth prompt starts like others: hits as well as misses.
        const group = i % 4 === 0 ? i % 16 : i;
        const promptIds = Uint32Array.from(
          { length: promptTokens },
          (_, at) => (at * 31 + group * 7919) % 30_000,
        );
        const request = createRequest({
          id: `r${i}`,
          model: "tiny",
          promptIds,
          limits: { maxTokens: outputTokens },
        });
        const { signal } = new AbortController();
        for await (const _ of pools[i % routers]!.generate(request, { signal }));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
    const seconds = (performance.now() - startedMs) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    lagsMs.sort((a, b) => a - b);
    const at = (share: number): number => rounded(lagsMs[Math.floor(lagsMs.length * share)] ?? 0);
    return {
      routers,
      workers,
      requests,
      requestsPerSecond: Math.round(requests / seconds),
      cpuMsPerRequest: rounded((user + system) / 1_000 / requests),
      eventLagMs: { p50: at(0.5), p99: at(0.99), samples: lagsMs.length },
    };
  } finally {
    for (const pool of pools) await pool.close();
    for (const runtime of runtimes) await runtime.close();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

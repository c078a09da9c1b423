// `npm run bench -- select --json`: full decisions per second: naming the prompt's blocks, looking them up, costing every
// worker and picking one; and the same with booking and freeing. Half of each prompt is held by some of the workers.
import { parseArgs } from "node:util";
import { createRequest, hashSchemeXxh3, type GenerateRequest } from "@stator/core";
import { createSelector, type Selector } from "@stator/router/selector";

interface Row {
  readonly workers: number;
  readonly promptTokens: number;
  readonly decisionsPerSecond: number;
  /** Processor time per decision: on a shared machine the wall clock also counts others' work. */
  readonly processorUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly withBookingPerSecond: number;
}

const PROMPTS = 64;

export async function run(args: readonly string[]): Promise<readonly Row[]> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workers: { type: "string", default: "8,64,512" },
      tokens: { type: "string", default: "1000,10000,100000" },
      "block-size": { type: "string", default: "64" },
      seconds: { type: "string", default: "1" },
    },
  });
  const rows: Row[] = [];
  for (const workers of values.workers.split(",").map(Number)) {
    for (const tokens of values.tokens.split(",").map(Number)) {
      rows.push(measure(workers, tokens, Number(values["block-size"]), Number(values.seconds) * 1000));
    }
  }
  return rows;
}

function measure(workers: number, promptTokens: number, blockTokens: number, durationMs: number): Row {
  const selector = createSelector();
  for (let i = 0; i < workers; i++) {
    selector.addWorker(
      {
        id: `worker-${i}`,
        epoch: "1",
        role: "both",
        model: "bench",
        capacity: { requests: 256, kvBlocks: 100_000, queue: 1024 },
        ranks: 1,
        labels: {},
      },
      { blockTokens, hashScheme: hashSchemeXxh3, adapters: [] },
    );
  }
  const requests = Array.from({ length: PROMPTS }, (_, p) =>
    createRequest({
      id: `r${p}`,
      model: "bench",
      promptIds: Uint32Array.from({ length: promptTokens }, (_unused, i) =>
        i < 512 ? i : (i * 7919 + p * 104_729) % 151_936,
      ),
    }),
  );
  const sequence = new BigUint64Array(workers);
  requests.forEach((request, p) => {
    const { names } = selector.prepare(request);
    for (let copy = 0; copy < 4; copy++) {
      const worker = (p * 5 + copy * 3) % workers;
      selector.observe({
        worker: `worker-${worker}`,
        epoch: "1",
        sequence: ++sequence[worker]!,
        events: [
          {
            type: "stored",
            sequenceHashes: names.slice(0, Math.ceil((names.length * (copy + 1)) / 8)),
            tier: "device",
            rank: 0,
          },
        ],
      });
    }
  });
  decide(selector, requests, durationMs / 4);
  const used = process.cpuUsage();
  const latencies = decide(selector, requests, durationMs);
  const { user, system } = process.cpuUsage(used);
  const sorted = latencies.sort((a, b) => a - b);
  const total = sorted.reduce((sum, us) => sum + us, 0);
  const at = (share: number): number => Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1));
  return {
    workers,
    promptTokens,
    decisionsPerSecond: Math.round((sorted.length * 1e6) / total),
    processorUs: Number(((user + system) / latencies.length).toFixed(1)),
    p50Us: at(0.5),
    p99Us: at(0.99),
    withBookingPerSecond: Math.round(bookAndFree(selector, requests, durationMs)),
  };
}

function decide(selector: Selector, requests: readonly GenerateRequest[], durationMs: number): number[] {
  const latencies: number[] = [];
  const end = performance.now() + durationMs;
  for (let i = 0; performance.now() < end; i++) {
    const started = performance.now();
    selector.select(selector.prepare(requests[i % requests.length]!));
    latencies.push((performance.now() - started) * 1000);
  }
  return latencies;
}

function bookAndFree(selector: Selector, requests: readonly GenerateRequest[], durationMs: number): number {
  const started = performance.now();
  let decisions = 0;
  for (; performance.now() - started < durationMs; decisions++) {
    const booking = selector.book(selector.select(selector.prepare(requests[decisions % requests.length]!)));
    booking.prefilled();
    booking.free();
  }
  return decisions / ((performance.now() - started) / 1000);
}

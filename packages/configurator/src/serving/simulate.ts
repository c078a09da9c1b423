import { seededRandom } from "@stator/simulator/workload";
import type { Candidate, WorkerGroup } from "../search/candidate.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import { kvTransferMs } from "./predict.ts";
import type { WorkerSpec } from "./predict.ts";
import { createEvents } from "./simulation/events.ts";
import { percentiles } from "./simulation/percentiles.ts";
import type { Percentiles } from "./simulation/percentiles.ts";
import { createPrefillPool } from "./simulation/prefill-pool.ts";
import { createRank } from "./simulation/rank.ts";
import type { Request } from "./simulation/request.ts";

export type { Percentiles } from "./simulation/percentiles.ts";

/** What a layout did in the event simulation: every request counted, percentiles included. */
export interface Simulated {
  readonly requests: number;
  readonly ttftMs: Percentiles;
  readonly tpotMs: Percentiles;
  readonly requestsPerSecond: number;
  /** Virtual seconds that were simulated. */
  readonly seconds: number;
}

export interface SimulateOptions {
  /** Requests sent for each one in flight. Default such that some 4000 run, 3 to 8; the first round, which arrives at once, is not counted. */
  readonly rounds?: number;
  /** Same seed, same result. Default 1. */
  readonly seed?: number;
}

/**
 * Runs a layout step by step under a closed loop at its concurrency: continuous batching with chunked prefill, lengths
 * spread by a fifth, prefill and decode pools with KV transfer between them. Times of steps come from `stepTime`, so
 * what this confirms is the closed form's queueing and batching, not its kernels.
 */
export function simulateCandidate(
  candidate: Candidate,
  target: Target,
  workload: WorkloadOptions,
  options: SimulateOptions = {},
): Simulated {
  const { rounds = Math.max(3, Math.min(8, Math.round(4000 / candidate.concurrency))), seed = 1 } = options;
  const draw = seededRandom(seed);
  const spread = (tokens: number): number => Math.max(1, Math.round(tokens * (0.8 + 0.4 * draw())));
  const done: Request[] = [];
  const newRequest = (atMs: number, round: number): Request => ({
    inputTokens: spread(workload.inputTokens - (workload.prefixTokens ?? 0)),
    outputTokens: spread(workload.outputTokens),
    round,
    arrivalMs: atMs,
    prefilledTokens: 0,
    producedTokens: 0,
    firstMs: 0,
    endMs: 0,
  });
  const finished = (request: Request, atMs: number, next: (request: Request) => void): void => {
    request.endMs = atMs;
    done.push(request);
    if (request.round + 1 < rounds) next(newRequest(atMs, request.round + 1));
  };
  const events = createEvents();
  const prefill = candidate.workers.find((group) => group.role === "prefill");
  let ranks = 0;
  let simulatedRanks = 0;
  for (const group of candidate.workers) {
    if (group.role === "prefill") continue;
    const worker = workerOf(group, target);
    const ofGroup = group.count * group.parallelism.data;
    ranks += ofGroup;
    if (group.role === "both") {
      // Replicas of one kind behave alike: one rank is run and stands for all of them.
      simulatedRanks += 1;
      const rank = createRank(worker, workload, events, (request, atMs) => finished(request, atMs, rank.add));
      for (let at = 0; at < group.batch; at++) rank.add(newRequest(0, 0));
    } else if (prefill) {
      simulatedRanks += ofGroup;
      const from = workerOf(prefill, target);
      const moveMs = kvTransferMs(from, worker, workload.inputTokens);
      const decodeRanks = Array.from({ length: ofGroup }, () =>
        createRank(worker, workload, events, (request, atMs) =>
          finished(request, atMs, (next) => pool.add(next)),
        ),
      );
      let turn = 0;
      const pool = createPrefillPool(from, prefill.count, workload, events, (request, atMs) =>
        events.at(atMs + moveMs, () => decodeRanks[turn++ % decodeRanks.length]?.add(request)),
      );
      for (let at = 0; at < Math.max(1, Math.round(candidate.concurrency)); at++) pool.add(newRequest(0, 0));
    }
  }
  events.run();
  const measured = done.filter((request) => request.round > 0);
  // The start is a burst and the end a drain: the rate is what ended in between.
  const lastMs = done.reduce((most, request) => Math.max(most, request.arrivalMs), 0);
  const ends = done.map((request) => request.endMs).sort((x, y) => x - y);
  const until = Math.max(1, ends.filter((ms) => ms <= lastMs).length - 1);
  const from = Math.min(until - 1, Math.floor(until * 0.4));
  const spanMs = Math.max(1e-9, (ends[until] ?? 0) - (ends[from] ?? 0));
  return {
    requests: measured.length,
    ttftMs: percentiles(measured.map((request) => request.firstMs - request.arrivalMs)),
    tpotMs: percentiles(
      measured
        .filter((request) => request.outputTokens > 1)
        .map((request) => (request.endMs - request.firstMs) / (request.outputTokens - 1)),
    ),
    requestsPerSecond: ((until - from) / spanMs) * 1000 * (ranks / simulatedRanks),
    seconds: (ends.at(-1) ?? 0) / 1000,
  };
}

function workerOf(group: WorkerGroup, target: Target): WorkerSpec {
  return { ...target, parallelism: group.parallelism };
}

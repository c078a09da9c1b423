import { stepTime } from "@stator/simulator/performance-model";
import type { StepBatch } from "@stator/simulator/performance-model";
import type { Candidate, WorkerGroup } from "../search/candidate.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import { defaultStepTokens, kvTransferMs } from "./predict.ts";
import type { WorkerSpec } from "./predict.ts";

/** What a layout did in the event simulation: every request counted, percentiles included. */
export interface Simulated {
  readonly requests: number;
  readonly ttftMs: Percentiles;
  readonly tpotMs: Percentiles;
  readonly requestsPerSecond: number;
  /** Virtual seconds that were simulated. */
  readonly seconds: number;
}

export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
}

export interface SimulateOptions {
  /** Requests sent for each one in flight. Default such that some 4000 run, 3 to 8; the first round, which arrives at once, is not counted. */
  readonly rounds?: number;
  /** Same seed, same result. Default 1. */
  readonly seed?: number;
}

interface Request {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly round: number;
  readonly arrivalMs: number;
  prefilledTokens: number;
  producedTokens: number;
  firstMs: number;
  endMs: number;
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
  const draw = random(seed);
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

interface Events {
  readonly at: (ms: number, run: () => void) => void;
  readonly now: () => number;
  readonly run: () => void;
}

/** A binary heap of what happens when; ties in the order they were made. */
function createEvents(): Events {
  const heap: { ms: number; order: number; run: () => void }[] = [];
  let now = 0;
  let made = 0;
  const isBefore = (a: number, b: number): boolean => {
    const [left, right] = [heap[a], heap[b]];
    return !!left && !!right && (left.ms < right.ms || (left.ms === right.ms && left.order < right.order));
  };
  const swap = (a: number, b: number): void => {
    const [left, right] = [heap[a], heap[b]];
    if (left && right) [heap[a], heap[b]] = [right, left];
  };
  return {
    now: () => now,
    at(ms, run) {
      heap.push({ ms, order: made++, run });
      for (
        let child = heap.length - 1, parent = (child - 1) >> 1;
        child > 0 && isBefore(child, parent);
        child = parent, parent = (child - 1) >> 1
      )
        swap(child, parent);
    },
    run() {
      for (let first = heap[0]; first; first = heap[0]) {
        const last = heap.pop();
        if (heap.length > 0 && last) {
          heap[0] = last;
          for (let parent = 0; ;) {
            const left = 2 * parent + 1;
            const least = isBefore(left + 1, left) ? left + 1 : left;
            if (!isBefore(least, parent)) break;
            swap(least, parent);
            parent = least;
          }
        }
        now = first.ms;
        first.run();
      }
    },
  };
}

interface Rank {
  readonly add: (request: Request) => void;
}

/** One attention rank of an aggregated or decode worker: steps while it has work, prompts in chunks, decodes beside them. */
function createRank(
  worker: WorkerSpec,
  workload: WorkloadOptions,
  events: Events,
  finished: (request: Request, atMs: number) => void,
): Rank {
  const waiting: Request[] = [];
  let running: Request[] = [];
  let isStepping = false;
  const pastTokens = workload.prefixTokens ?? 0;
  const timeOf = cachedStepTime(worker);
  const step = (): void => {
    isStepping = true;
    let budget = Math.max(0, defaultStepTokens - running.length);
    const chunks: { request: Request; tokens: number }[] = [];
    for (const request of waiting) {
      if (budget <= 0) break;
      const tokens = Math.min(budget, request.inputTokens - request.prefilledTokens);
      chunks.push({ request, tokens });
      budget -= tokens;
    }
    const prefillTokens = chunks.reduce((sum, chunk) => sum + chunk.tokens, 0);
    const held = running.reduce(
      (sum, request) => sum + pastTokens + request.inputTokens + request.producedTokens,
      0,
    );
    const ms = timeOf(
      prefillTokens,
      chunks.length,
      pastTokens,
      running.length,
      running.length === 0 ? 0 : held / running.length,
    );
    events.at(events.now() + ms, () => {
      const now = events.now();
      const still: Request[] = [];
      for (const request of running) {
        request.producedTokens += 1;
        if (request.producedTokens >= request.outputTokens) finished(request, now);
        else still.push(request);
      }
      running = still;
      for (const { request, tokens } of chunks) {
        request.prefilledTokens += tokens;
        if (request.prefilledTokens < request.inputTokens) continue;
        waiting.splice(waiting.indexOf(request), 1);
        request.producedTokens = 1;
        request.firstMs = now;
        if (request.outputTokens === 1) finished(request, now);
        else running.push(request);
      }
      if (running.length + waiting.length > 0) step();
      else isStepping = false;
    });
  };
  return {
    add(request) {
      if (request.firstMs > 0) running.push(request);
      else waiting.push(request);
      if (!isStepping) step();
    },
  };
}

/** Prefill workers on one queue; each rank computes one prompt at a time and yields its first token at the end. */
function createPrefillPool(
  worker: WorkerSpec,
  count: number,
  workload: WorkloadOptions,
  events: Events,
  prefilled: (request: Request, atMs: number) => void,
): Rank {
  const waiting: Request[] = [];
  let idle = count;
  const timeOf = cachedStepTime(worker);
  const pastTokens = workload.prefixTokens ?? 0;
  const { data } = worker.parallelism;
  const next = (): void => {
    while (idle > 0 && waiting.length > 0) {
      idle -= 1;
      // Ranks of one worker run in step: as many prompts at once as there are ranks.
      const together = waiting.splice(0, data);
      const ms = timeOf(Math.max(...together.map((request) => request.inputTokens)), 1, pastTokens, 0, 0);
      events.at(events.now() + ms, () => {
        for (const request of together) {
          request.prefilledTokens = request.inputTokens;
          request.producedTokens = 1;
          request.firstMs = events.now();
          prefilled(request, events.now());
        }
        idle += 1;
        next();
      });
    }
  };
  return {
    add(request) {
      waiting.push(request);
      if (idle > 0) events.at(events.now(), next);
    },
  };
}

type StepMs = (
  prefillTokens: number,
  prompts: number,
  pastTokens: number,
  decoding: number,
  contextTokens: number,
) => number;

/** Step times by sizes rounded to about 3 %: thousands of steps differ by less than the model's own error. */
function cachedStepTime(worker: WorkerSpec): StepMs {
  const known = new Map<string, number>();
  const rounded = (value: number): number =>
    value <= 16 ? Math.round(value) : Math.round(1.03 ** Math.round(Math.log(value) / Math.log(1.03)));
  return (prefillTokens, prompts, pastTokens, decoding, contextTokens) => {
    const sizes = [
      rounded(prefillTokens),
      Math.min(prompts, prefillTokens),
      rounded(decoding),
      rounded(contextTokens),
    ] as const;
    const key = sizes.join();
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    const [tokens, sequences, running, context] = sizes;
    const batch: StepBatch = {
      ...(tokens > 0 ? { prefill: [{ sequences, newTokens: tokens / sequences, pastTokens }] } : {}),
      ...(running > 0 ? { decode: { sequences: running, contextTokens: context } } : {}),
    };
    const ms = stepTime({ ...worker, batch });
    known.set(key, ms);
    return ms;
  };
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return {
    mean: sorted.reduce((sum, value) => sum + value, 0) / Math.max(1, sorted.length),
    p50: at(0.5),
    p99: at(0.99),
  };
}

/** Mulberry32: small, seeded, good enough to spread lengths. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

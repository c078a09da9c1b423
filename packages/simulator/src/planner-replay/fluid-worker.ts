import { createBlockCache, type BlockCache } from "../cluster/block-cache.ts";
import { TRACE_BLOCK_TOKENS } from "../workload/trace-request.ts";
import type { ServingTimes } from "./serving-times.ts";

/** One request on its way through a scaled cluster. */
export interface FluidRequest {
  readonly atMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of full prompt blocks; empty where nothing is shared. */
  readonly names: BigUint64Array;
  cachedTokens: number;
  ttftMs: number;
  itlMs: number;
  finishedMs: number;
}

export type FluidRole = "prefill" | "decode" | "both";

/**
 * A worker in virtual time whose batch moves as a whole: between two changes of the batch all sequences advance at one
 * token a step, and the step time is that of the batch at the last change. A replay costs events per request, not per
 * token. Prompts run one at a time, first come first served; on a worker of both roles in chunks that carry the decodes.
 */
export interface FluidWorker {
  readonly role: FluidRole;
  /** When something happens next without outside help; Infinity when idle. */
  readonly nextMs: number;
  readonly decoding: number;
  readonly kvTokens: number;
  /** Prompt tokens that wait or run. */
  readonly queuedTokens: number;
  readonly isIdle: boolean;
  isDraining: boolean;
  /** Milliseconds until all prompts bound to it are prefilled. */
  backlogMs(nowMs: number): number;
  cachedTokens(request: FluidRequest): number;
  prefill(nowMs: number, request: FluidRequest): void;
  decode(nowMs: number, request: FluidRequest): void;
  /** Lives until `nowMs`, which is at least `nextMs`. */
  run(nowMs: number): void;
}

export interface FluidWorkerOptions {
  readonly role: FluidRole;
  readonly times: ServingTimes;
  /** Prompt tokens of one chunk on a worker of both roles. Default 2048. */
  readonly chunkTokens?: number;
  readonly onPrefilled: (request: FluidRequest, nowMs: number) => void;
  readonly onFinished: (request: FluidRequest, nowMs: number) => void;
}

interface Sequence {
  readonly request: FluidRequest;
  /** Step counter at which its last token is there. */
  readonly endStep: number;
  readonly startTokens: number;
  readonly startStep: number;
}

interface Prompt {
  readonly request: FluidRequest;
  readonly workMs: number;
  readonly newTokens: number;
}

export function createFluidWorker(options: FluidWorkerOptions): FluidWorker {
  const { times, role, chunkTokens = 2048 } = options;
  const cache: BlockCache = createBlockCache(Math.floor(times.maxKvTokens / TRACE_BLOCK_TOKENS));
  const running: Sequence[] = [];
  const queue: Prompt[] = [];
  let queuedMs = 0;
  let queuedTokens = 0;
  let current: Prompt | undefined;
  let currentEndMs = Number.POSITIVE_INFINITY;
  let steps = 0;
  let atMs = 0;
  let stepMs = 0;
  let kvTokens = 0;
  let firstEnd = Number.POSITIVE_INFINITY;
  let nextMs = Number.POSITIVE_INFINITY;

  function advance(nowMs: number): void {
    if (running.length > 0 && nowMs > atMs) {
      const done = (nowMs - atMs) / stepMs;
      steps += done;
      kvTokens += done * running.length;
    }
    atMs = Math.max(atMs, nowMs);
  }

  function begin(nowMs: number): void {
    current = queue.shift();
    currentEndMs = Number.POSITIVE_INFINITY;
    if (current === undefined) return;
    queuedMs -= current.workMs;
    const { request, newTokens } = current;
    let workMs = 0;
    if (running.length === 0) workMs = current.workMs;
    else {
      let past = request.inputTokens - newTokens;
      for (let left = newTokens; left > 0; left -= chunkTokens) {
        const chunk = Math.min(left, chunkTokens);
        workMs += times.mixedMs(chunk, past, running.length, kvTokens / running.length);
        past += chunk;
      }
    }
    currentEndMs = nowMs + workMs;
  }

  function reschedule(): void {
    if (running.length > 0) {
      stepMs =
        current === undefined
          ? times.decodeMs(running.length, kvTokens / running.length)
          : (currentEndMs - atMs) / Math.max(1, Math.ceil(current.newTokens / chunkTokens));
      // A prefill about to end would give steps of no length at all.
      if (current !== undefined)
        stepMs = Math.max(stepMs, times.decodeMs(running.length, kvTokens / running.length));
    }
    const endMs =
      running.length === 0 ? Number.POSITIVE_INFINITY : atMs + Math.max(0, firstEnd - steps) * stepMs;
    nextMs = Math.min(currentEndMs, endMs);
  }

  function add(nowMs: number, request: FluidRequest): void {
    const tokens = request.inputTokens + 1;
    running.push({
      request,
      endStep: steps + request.outputTokens - 1,
      startTokens: tokens,
      startStep: steps,
    });
    firstEnd = Math.min(firstEnd, steps + request.outputTokens - 1);
    kvTokens += tokens;
    if (request.outputTokens <= 1) finish(nowMs);
  }

  function finish(nowMs: number): void {
    firstEnd = Number.POSITIVE_INFINITY;
    for (let i = running.length - 1; i >= 0; i--) {
      const sequence = running[i]!;
      if (sequence.endStep > steps + 1e-6) {
        if (sequence.endStep < firstEnd) firstEnd = sequence.endStep;
        continue;
      }
      running[i] = running[running.length - 1]!;
      running.pop();
      kvTokens -= sequence.startTokens + (steps - sequence.startStep);
      options.onFinished(sequence.request, nowMs);
    }
    if (running.length === 0) kvTokens = 0;
  }

  const cachedTokens = (request: FluidRequest): number =>
    request.names.length === 0
      ? 0
      : Math.min(request.inputTokens - 1, cache.depth(request.names) * TRACE_BLOCK_TOKENS);

  return {
    role,
    isDraining: false,
    get nextMs() {
      return nextMs;
    },
    get decoding() {
      return running.length;
    },
    get kvTokens() {
      return kvTokens;
    },
    get queuedTokens() {
      return queuedTokens;
    },
    get isIdle() {
      return running.length === 0 && current === undefined && queue.length === 0;
    },
    backlogMs: (nowMs) => (current === undefined ? 0 : currentEndMs - nowMs) + queuedMs,
    cachedTokens,
    prefill(nowMs, request) {
      request.cachedTokens = cachedTokens(request);
      const newTokens = Math.max(1, request.inputTokens - request.cachedTokens);
      const workMs = times.prefillMs(newTokens, request.cachedTokens);
      if (request.names.length > 0) cache.use(request.names);
      queue.push({ request, workMs, newTokens });
      queuedMs += workMs;
      queuedTokens += newTokens;
      if (current !== undefined) return;
      advance(nowMs);
      begin(nowMs);
      reschedule();
    },
    decode(nowMs, request) {
      advance(nowMs);
      add(nowMs, request);
      reschedule();
    },
    run(nowMs) {
      advance(nowMs);
      if (firstEnd <= steps + 1e-6) finish(nowMs);
      if (currentEndMs <= nowMs) {
        const { request, newTokens } = current!;
        queuedTokens -= newTokens;
        current = undefined;
        options.onPrefilled(request, nowMs);
        if (role === "both") add(nowMs, request);
        begin(nowMs);
      }
      reschedule();
    },
  };
}

import type { Interval, Workers } from "@stator/planner";
import { createFluidWorker, type FluidRequest, type FluidRole, type FluidWorker } from "./fluid-worker.ts";
import type { ServingTimes } from "./serving-times.ts";

export interface ScaledClusterOptions {
  readonly graph: "disaggregated" | "aggregated";
  readonly times: ServingTimes;
  readonly initial: Workers;
  readonly startupMs: number;
  /** At which TTFT and ITL are reported to the planner, 50 to 99.9. */
  readonly percentile: number;
}

/** Workers in virtual time behind one router, which can be more or fewer from one moment to the next. */
export interface ScaledCluster {
  readonly nowMs: number;
  readonly target: Workers;
  readonly ready: Workers;
  readonly scaleUps: number;
  readonly scaleDowns: number;
  /** GPUs that were held so far, starting and draining included. */
  readonly gpuMs: number;
  readonly unfinished: number;
  arrive(request: FluidRequest): void;
  /** Lives on until `nowMs`. */
  advance(nowMs: number): void;
  /** Starts workers, or lets the newest drain and end. */
  scaleTo(target: Workers): void;
  /** What happened since the last call: what frontends and workers report. */
  observe(): Interval;
  /** The same since the last sample. */
  sample(): Interval;
}

/** Prompts are bound to a worker only up to this backlog; the rest waits at the router, for workers that come. */
const boundBacklogMs = 500;
const kvCeiling = 0.95;

interface Starting {
  readonly role: FluidRole;
  readonly readyMs: number;
}

export function createScaledCluster(options: ScaledClusterOptions): ScaledCluster {
  const { times, startupMs, graph } = options;
  const isAggregated = graph === "aggregated";
  let nowMs = 0;
  let workers: FluidWorker[] = [];
  let starting: Starting[] = [];
  let target = options.initial;
  let scaleUps = 0;
  let scaleDowns = 0;
  let gpuMs = 0;
  let unfinished = 0;
  const waiting: FluidRequest[] = [];
  let waitingFrom = 0;
  const transfers: { readonly atMs: number; readonly request: FluidRequest }[] = [];
  const toDecode: FluidRequest[] = [];
  const slow = emptyWindow(0);
  const fast = emptyWindow(0);
  const windows = [slow, fast];

  const roleOf = (role: "prefill" | "decode"): FluidRole => (isAggregated ? "both" : role);
  const gpusOf = (role: FluidRole): number =>
    role === "prefill" ? times.gpusPerWorker.prefill : times.gpusPerWorker.decode;

  const create = (role: FluidRole): FluidWorker =>
    createFluidWorker({
      role,
      times,
      onPrefilled(request, atMs) {
        request.ttftMs = atMs - request.atMs;
        for (const window of windows) {
          window.ttfts.push(request.ttftMs);
          window.promptTokens += request.inputTokens;
          window.cachedTokens += request.cachedTokens;
        }
        if (role === "prefill")
          transfers.push({ atMs: atMs + request.inputTokens * times.transferMsPerToken, request });
      },
      onFinished(request, atMs) {
        unfinished -= 1;
        request.finishedMs = atMs;
        request.itlMs =
          request.outputTokens < 2 ? 0 : (atMs - request.atMs - request.ttftMs) / (request.outputTokens - 1);
        for (const window of windows) {
          if (request.outputTokens >= 2) window.itls.push(request.itlMs);
          window.outputs += request.outputTokens;
          window.finished += 1;
        }
      },
    });

  const count = (role: FluidRole): number =>
    workers.reduce((sum, worker) => sum + (worker.role === role && !worker.isDraining ? 1 : 0), 0);
  const ready = (): Workers =>
    isAggregated
      ? { prefill: 0, decode: count("both") }
      : { prefill: count("prefill"), decode: count("decode") };

  for (const role of ["prefill", "decode"] as const) {
    if (isAggregated && role === "prefill") continue;
    for (let i = 0; i < options.initial[role]; i++) workers.push(create(roleOf(role)));
  }

  function dispatch(): void {
    while (waitingFrom < waiting.length) {
      const request = waiting[waitingFrom]!;
      let best: FluidWorker | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const worker of workers) {
        if (worker.role === "decode" || worker.isDraining) continue;
        const backlogMs = worker.backlogMs(nowMs);
        if (backlogMs > boundBacklogMs) continue;
        if (worker.role === "both" && worker.kvTokens > kvCeiling * times.maxKvTokens) continue;
        const cached = worker.cachedTokens(request);
        const cost = backlogMs + times.prefillMs(Math.max(1, request.inputTokens - cached), cached);
        if (cost < least) {
          least = cost;
          best = worker;
        }
      }
      if (best === undefined) return;
      best.prefill(nowMs, request);
      waitingFrom += 1;
    }
    waiting.length = 0;
    waitingFrom = 0;
  }

  function admit(): void {
    while (toDecode.length > 0) {
      const request = toDecode[0]!;
      let best: FluidWorker | undefined;
      for (const worker of workers) {
        if (worker.role !== "decode" || worker.isDraining) continue;
        if (worker.kvTokens + request.inputTokens > kvCeiling * times.maxKvTokens && worker.decoding > 0)
          continue;
        if (best === undefined || worker.kvTokens < best.kvTokens) best = worker;
      }
      if (best === undefined) return;
      best.decode(nowMs, request);
      toDecode.shift();
    }
  }

  /** The next thing that happens by itself, at most `limitMs`. */
  function nextEventMs(limitMs: number): number {
    let next = limitMs;
    for (const worker of workers) if (worker.nextMs < next) next = worker.nextMs;
    for (const transfer of transfers) if (transfer.atMs < next) next = transfer.atMs;
    for (const one of starting) if (one.readyMs < next) next = one.readyMs;
    if (waitingFrom < waiting.length)
      for (const worker of workers) {
        if (worker.role === "decode" || worker.isDraining) continue;
        const free = nowMs + worker.backlogMs(nowMs) - boundBacklogMs;
        if (free > nowMs && free < next) next = free + 1e-3;
      }
    return Math.min(limitMs, Math.max(nowMs, next));
  }

  function elapse(toMs: number): void {
    const ms = toMs - nowMs;
    if (ms <= 0) return;
    let gpus = 0;
    for (const worker of workers) gpus += gpusOf(worker.role);
    for (const one of starting) gpus += gpusOf(one.role);
    gpuMs += gpus * ms;
    const now = ready();
    for (const window of windows) {
      window.prefillMs += now.prefill * ms;
      window.decodeMs += now.decode * ms;
    }
    nowMs = toMs;
  }

  function settle(): void {
    for (const worker of workers) while (worker.nextMs <= nowMs) worker.run(nowMs);
    for (let i = transfers.length - 1; i >= 0; i--) {
      if (transfers[i]!.atMs > nowMs) continue;
      toDecode.push(transfers[i]!.request);
      transfers.splice(i, 1);
    }
    if (starting.some((one) => one.readyMs <= nowMs)) {
      for (const one of starting) if (one.readyMs <= nowMs) workers.push(create(one.role));
      starting = starting.filter((one) => one.readyMs > nowMs);
    }
    admit();
    if (waitingFrom < waiting.length) dispatch();
    if (workers.some((worker) => worker.isDraining && worker.isIdle))
      workers = workers.filter((worker) => !(worker.isDraining && worker.isIdle));
  }

  function pressure(): { queuedPrefillTokens: number; kvUsage: number } {
    let queuedPrefillTokens = 0;
    for (let i = waitingFrom; i < waiting.length; i++) queuedPrefillTokens += waiting[i]!.inputTokens;
    let kvUsage = 0;
    for (const worker of workers) {
      if (worker.role !== "decode") queuedPrefillTokens += worker.queuedTokens;
      if (worker.role !== "prefill") kvUsage = Math.max(kvUsage, worker.kvTokens / times.maxKvTokens);
    }
    return { queuedPrefillTokens, kvUsage };
  }

  function report(window: Window): Interval {
    const durationMs = Math.max(1e-9, nowMs - window.fromMs);
    const ttftMs = percentileOf(window.ttfts, options.percentile);
    const itlMs = percentileOf(window.itls, options.percentile);
    const interval: Interval = {
      durationMs,
      requests: window.requests,
      inputTokens: window.requests === 0 ? 0 : window.inputs / window.requests,
      outputTokens: window.finished === 0 ? 0 : window.outputs / window.finished,
      prefixHitRatio: window.promptTokens === 0 ? 0 : window.cachedTokens / window.promptTokens,
      ...(ttftMs === undefined ? {} : { ttftMs }),
      ...(itlMs === undefined ? {} : { itlMs }),
      workers: { prefill: window.prefillMs / durationMs, decode: window.decodeMs / durationMs },
      ...pressure(),
    };
    Object.assign(window, emptyWindow(nowMs));
    return interval;
  }

  return {
    get nowMs() {
      return nowMs;
    },
    get target() {
      return target;
    },
    get ready() {
      return ready();
    },
    get scaleUps() {
      return scaleUps;
    },
    get scaleDowns() {
      return scaleDowns;
    },
    get gpuMs() {
      return gpuMs;
    },
    get unfinished() {
      return unfinished;
    },
    arrive(request) {
      unfinished += 1;
      for (const window of windows) {
        window.requests += 1;
        window.inputs += request.inputTokens;
      }
      waiting.push(request);
      dispatch();
    },
    advance(toMs) {
      settle();
      while (nowMs < toMs) {
        elapse(nextEventMs(toMs));
        settle();
      }
    },
    scaleTo(wanted) {
      for (const name of ["prefill", "decode"] as const) {
        if (isAggregated && name === "prefill") continue;
        const role = roleOf(name);
        const pending = starting.filter((one) => one.role === role).length;
        let change = wanted[name] - count(role) - pending;
        if (change > 0) scaleUps += 1;
        if (change < 0) scaleDowns += 1;
        for (; change > 0; change--)
          if (startupMs > 0) starting.push({ role, readyMs: nowMs + startupMs });
          else workers.push(create(role));
        // What has not started yet is the cheapest to give up.
        for (let i = starting.length - 1; i >= 0 && change < 0; i--) {
          if (starting[i]!.role !== role) continue;
          starting.splice(i, 1);
          change += 1;
        }
        for (let i = workers.length - 1; i >= 0 && change < 0; i--) {
          const worker = workers[i]!;
          if (worker.role !== role || worker.isDraining) continue;
          worker.isDraining = true;
          change += 1;
        }
      }
      target = wanted;
      settle();
    },
    observe: () => report(slow),
    sample: () => report(fast),
  };
}

interface Window {
  fromMs: number;
  prefillMs: number;
  decodeMs: number;
  requests: number;
  inputs: number;
  outputs: number;
  finished: number;
  promptTokens: number;
  cachedTokens: number;
  ttfts: number[];
  itls: number[];
}

function emptyWindow(fromMs: number): Window {
  return {
    fromMs,
    prefillMs: 0,
    decodeMs: 0,
    requests: 0,
    inputs: 0,
    outputs: 0,
    finished: 0,
    promptTokens: 0,
    cachedTokens: 0,
    ttfts: [],
    itls: [],
  };
}

/** The smallest value that at least this share of values stays within. */
export function percentileOf(values: readonly number[], percentile: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((percentile / 100) * sorted.length) - 1))]!;
}

import type { Workers } from "@stator/planner";
import { createObservationWindow } from "../scaling/observation-window.ts";
import type { ScalableCluster } from "../scaling/scaling-loop.ts";
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
export interface ScaledCluster extends ScalableCluster {
  readonly scaleUps: number;
  readonly scaleDowns: number;
  /** GPUs that were held so far, starting and draining included. */
  readonly gpuMs: number;
  readonly unfinished: number;
  arrive(request: FluidRequest): void;
  /** Lives on until `nowMs`. */
  advance(nowMs: number): void;
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
  const slow = createObservationWindow(options.percentile);
  const fast = createObservationWindow(options.percentile);
  const windows = [slow, fast];
  let arrivals = 0;

  const roleOf = (role: "prefill" | "decode"): FluidRole => (isAggregated ? "both" : role);
  const gpusOf = (role: FluidRole): number =>
    role === "prefill" ? times.gpusPerWorker.prefill : times.gpusPerWorker.decode;

  const create = (role: FluidRole): FluidWorker =>
    createFluidWorker({
      role,
      times,
      onPrefilled(request, atMs) {
        request.ttftMs = atMs - request.atMs;
        for (const window of windows)
          window.prefilled(request.ttftMs, request.inputTokens, request.cachedTokens);
        if (role === "prefill")
          transfers.push({ atMs: atMs + request.inputTokens * times.transferMsPerToken, request });
      },
      onFinished(request, atMs) {
        unfinished -= 1;
        request.finishedMs = atMs;
        request.itlMs =
          request.outputTokens < 2 ? 0 : (atMs - request.atMs - request.ttftMs) / (request.outputTokens - 1);
        for (const window of windows) window.finished(request.outputTokens, request.itlMs);
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
    for (const window of windows) window.elapsed(now, ms);
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
    get arrivals() {
      return arrivals;
    },
    get unfinished() {
      return unfinished;
    },
    arrive(request) {
      unfinished += 1;
      arrivals += 1;
      for (const window of windows) window.arrived(request.inputTokens);
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
    observe: () => slow.report(nowMs, pressure()),
    sample: () => fast.report(nowMs, pressure()),
  };
}

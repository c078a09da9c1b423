import type {
  BackendName,
  Generation,
  ModelSpec,
  OperationTimes,
  Parallelism,
  Quantization,
  SystemSpec,
} from "@stator/simulator/performance-model";
import {
  architectureOf,
  generationOf,
  gpusOf,
  kvBytesOfSequence,
  sequenceCapacity,
  stepTime,
} from "@stator/simulator/performance-model";
import { fittedServingTerms } from "./fitted-serving-terms.ts";
import { closedLoopResponseMs, poissonWaitMs } from "./queueing.ts";
import type { FirstTokenTerms } from "./serving-terms.ts";

/** One kind of worker: a model, split so, on such GPUs, run by that engine. */
export interface WorkerSpec {
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly parallelism: Parallelism;
  readonly quantization: Quantization;
  readonly backend: BackendName;
  /** Default: the newest that was fitted. */
  readonly engineVersion?: string;
  readonly times?: OperationTimes;
}

/** What users send. */
export interface Workload {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Leading input tokens found in a prefix cache. Default 0. */
  readonly prefixTokens?: number;
  /**
   * How requests arrive. `closed` (default): so many users, each sending the next request when one ends. `poisson`: at
   * random at the predicted rate. `burst`: all at once.
   */
  readonly arrival?: Arrival;
}

export type Arrival = "closed" | "poisson" | "burst";

/** Share of the others' prefills that stall an output token when all requests come at once: most are over before it. */
export const burstStall = 0.7;

/** Tokens one step computes at most: the engines' usual default. */
export const defaultStepTokens = 8192;

export interface ServingPrediction {
  /** Mean time from arrival to first token, queueing included. */
  readonly ttftMs: number;
  /** Mean time between a request's later tokens. */
  readonly tpotMs: number;
  readonly requestMs: number;
  /** Requests per second of the worker (aggregated) or the whole group (disaggregated). */
  readonly requestsPerSecond: number;
  /** Sequences that really run at once, per attention rank: the batch or what the KV cache holds. */
  readonly runningPerRank: number;
  /** Sequences whose KV fits at once, per attention rank: staggered ones hold half their output on average. */
  readonly capacityPerRank: number;
  /** More requests are in flight than the KV cache holds: the rest wait. */
  readonly isSaturated: boolean;
}

/**
 * One aggregated worker under `concurrency` requests in flight per attention rank (closed loop).
 * TPOT is the decode step plus the prefill work of the others' arrivals; TTFT is own prefill plus queueing.
 */
export function predictAggregated(
  worker: WorkerSpec,
  workload: Workload,
  concurrency: number,
): ServingPrediction {
  const { inputTokens, outputTokens } = workload;
  const { data, pipeline } = worker.parallelism;
  const scheduling = fittedServingTerms.scheduling[worker.backend][generation(worker)];
  const capacity = sequenceCapacity(worker, inputTokens + outputTokens / 2);
  const running = Math.max(1, Math.min(concurrency, capacity));
  const pastTokens = Math.min(workload.prefixTokens ?? 0, inputTokens - 1);
  const newTokens = inputTokens - pastTokens;
  const decode = { sequences: running / pipeline, contextTokens: inputTokens + outputTokens / 2 };
  const together = Math.max(1, Math.min(running / outputTokens, defaultStepTokens / newTokens));
  const step = stepTime({ ...worker, batch: { decode } });
  const mixed = stepTime({
    ...worker,
    batch: { prefill: [{ sequences: together, newTokens, pastTokens }], decode },
  });
  const stall = data ** scheduling.dataStall;
  const first = stepTime({
    ...worker,
    batch: {
      prefill: [{ sequences: 1, newTokens: Math.min(newTokens, defaultStepTokens), pastTokens }],
      decode: { ...decode, sequences: Math.max(0.001, (running - 1) / pipeline) },
    },
  });
  const ownMs = first * Math.max(1, newTokens / defaultStepTokens);
  // Prefills of others stall an output token, but those during one's own prefill are part of the first token's time.
  const isBurst = workload.arrival === "burst";
  const others = ((running - 1) / pipeline / together) * (isBurst ? burstStall : 1);
  const stallMs = others * Math.max(0, mixed - step);
  const apart = (outputTokens * step + stallMs) / (outputTokens * step + stallMs + ownMs);
  const tpotMs = step + (stallMs / outputTokens) * apart * stall * scheduling.prefillInterference;
  // What a prompt adds when prompts queue: short ones then share a step.
  const prompts = promptsPerStep(newTokens);
  const addedMs =
    prompts > 1
      ? (stepTime({
          ...worker,
          batch: { prefill: [{ sequences: prompts, newTokens, pastTokens }], decode },
        }) -
          step) /
        prompts
      : ownMs - step;
  const serviceMs = (Math.max(0.1, addedMs) * stall) / pipeline;
  const generateMs = tpotMs * Math.max(1, outputTokens - 1);
  const waitMs = closedLoopResponseMs(running, ownMs, serviceMs, outputTokens * tpotMs) - ownMs;
  const terms = fittedServingTerms.aggregated[worker.backend][generation(worker)];
  const polledMs = pollSteps(worker, concurrency) * step;
  const closedMs = firstToken(terms, step, ownMs, waitMs, serviceMs * running) + polledMs;
  const perRank = running / (generateMs + closedMs);
  let ttftMs = queued(workload.arrival, closedMs, firstToken(terms, step, ownMs, 0, 0) + polledMs, {
    ratePerMs: perRank,
    serviceMs,
    waiting: running,
  });
  // What the KV cache cannot hold waits for others to finish.
  if (concurrency > running) ttftMs += ((concurrency - running) / running) * (ttftMs + generateMs);
  return {
    ttftMs,
    tpotMs,
    requestMs: ttftMs + generateMs,
    requestsPerSecond: perRank * data * 1000,
    runningPerRank: running,
    capacityPerRank: capacity,
    isSaturated: concurrency > running,
  };
}

function generation({ system, backend, engineVersion: version }: WorkerSpec): Generation {
  return generationOf(system, { backend, version });
}

/**
 * Decode steps that an arrival waits, on average, until the engine looks for it. SGLang's published recipes for Blackwell
 * poll every 10 steps, from 16 requests on every 30 (`--scheduler-recv-interval`); other engines look every step.
 */
export function pollSteps({ backend, system, parallelism }: WorkerSpec, concurrency: number): number {
  if (backend !== "sglang" || architectureOf(system) !== "blackwell") return 0;
  return concurrency * parallelism.data < 16 ? 5 : 15;
}

export interface DisaggregatedSpec {
  readonly prefill: WorkerSpec;
  readonly decode: WorkerSpec;
  readonly prefillWorkers: number;
  readonly decodeWorkers: number;
  /** Requests in flight per attention rank of a decode worker. */
  readonly decodeBatch: number;
}

export interface DisaggregatedPrediction extends ServingPrediction {
  /** Share of the time that prefill and decode workers are busy when the other side is the bottleneck. */
  readonly prefillLoad: number;
  readonly decodeLoad: number;
  /** Moving one request's KV from prefill to decode. */
  readonly transferMs: number;
  /** Prefill of one request, alone. */
  readonly prefillMs: number;
}

/** Prefill workers feeding decode workers over the KV transfer links, closed loop over all decode slots. */
export function predictDisaggregated(spec: DisaggregatedSpec, workload: Workload): DisaggregatedPrediction {
  const { prefill, decode, prefillWorkers, decodeWorkers, decodeBatch } = spec;
  const { inputTokens, outputTokens } = workload;
  const capacity = sequenceCapacity(decode, inputTokens + outputTokens / 2);
  const slots = Math.max(1, Math.min(decodeBatch, capacity));
  const { prefillMs, serviceMs } = prefillCost(prefill, workload);
  const transferMs = kvTransferMs(prefill, decode, inputTokens);
  const ranks = decode.parallelism.data * decodeWorkers;
  const clients = slots * ranks;
  const stationMs = serviceMs / prefillWorkers;
  const terms = fittedServingTerms.disaggregated[decode.backend][generation(decode)];
  const decodeMs = (sequences: number): number =>
    stepTime({
      ...decode,
      batch: {
        decode: {
          sequences: sequences / decode.parallelism.pipeline,
          contextTokens: inputTokens + outputTokens / 2,
        },
      },
    });

  // Requests still in prefill do not load decode: the two settle where their rates agree.
  let running = slots;
  let tpotMs = decodeMs(running);
  let ttftMs = 0;
  for (let round = 0; round < 12; round++) {
    const generateMs = tpotMs * Math.max(1, outputTokens - 1);
    const waitMs =
      closedLoopResponseMs(clients, prefillMs + transferMs, stationMs, generateMs) - prefillMs - transferMs;
    ttftMs = firstToken(terms, tpotMs, prefillMs, waitMs, stationMs * clients) + transferMs;
    const away = Math.max(prefillMs + waitMs, Math.min(ttftMs, prefillMs + 2 * waitMs)) + transferMs;
    const next = Math.max(Math.min(1, slots), (slots * generateMs) / (away + generateMs));
    if (Math.abs(next - running) < 0.005 * running) break;
    running = (running + next) / 2;
    tpotMs = decodeMs(running);
  }
  const generateMs = tpotMs * Math.max(1, outputTokens - 1);
  const rate = Math.min((running * ranks) / generateMs, 1 / stationMs);
  ttftMs = queued(workload.arrival, ttftMs, firstToken(terms, tpotMs, prefillMs, 0, 0) + transferMs, {
    ratePerMs: rate,
    serviceMs: stationMs,
    waiting: clients,
  });
  // A saturated prefill pool queues whatever decode does not hold (Little's law); the fitted terms know no such queue.
  if (rate * stationMs > saturatedLoad) ttftMs = Math.max(ttftMs, clients / rate - generateMs);
  if (decodeBatch > slots) ttftMs += ((decodeBatch - slots) / slots) * (ttftMs + generateMs);
  return {
    ttftMs,
    tpotMs,
    requestMs: ttftMs + generateMs,
    requestsPerSecond: rate * 1000,
    runningPerRank: running,
    capacityPerRank: capacity,
    isSaturated: decodeBatch > slots,
    prefillLoad: Math.min(1, rate * stationMs),
    decodeLoad: running / slots,
    transferMs,
    prefillMs,
  };
}

/** Load past which a prefill pool's queue grows with every request in flight. */
export const saturatedLoad = 0.97;

/** Prompts that one step of an attention rank takes together when they queue. */
export function promptsPerStep(newTokens: number): number {
  return Math.max(1, Math.floor(defaultStepTokens / newTokens));
}

/**
 * Prefill of one request on a prefill worker: alone, and as service time when requests queue. Then every attention rank
 * has prompts, and short ones fill a step together, which saves launches and reads each weight once.
 */
export function prefillCost(
  worker: WorkerSpec,
  workload: Workload,
): { prefillMs: number; serviceMs: number } {
  const pastTokens = Math.min(workload.prefixTokens ?? 0, workload.inputTokens - 1);
  const newTokens = workload.inputTokens - pastTokens;
  const step = (sequences: number): number =>
    stepTime({ ...worker, batch: { prefill: [{ sequences, newTokens, pastTokens }] } });
  const prompts = promptsPerStep(newTokens);
  const prefillMs = step(1);
  const { data, pipeline } = worker.parallelism;
  return { prefillMs, serviceMs: (prompts > 1 ? step(prompts) : prefillMs) / prompts / data / pipeline };
}

/** Time to move a prompt's KV between two workers: NVLink inside one domain, the network otherwise; 70 % of the link is usable. */
export function kvTransferMs(from: WorkerSpec, to: WorkerSpec, tokens: number): number {
  const { system } = to;
  const isLocal = gpusOf(from.parallelism) + gpusOf(to.parallelism) <= system.nvlinkDomain;
  const perGpu = isLocal ? system.nvlinkBytesPerSecond : system.networkBytesPerSecond;
  const lanes = Math.min(from.parallelism.tensor, to.parallelism.tensor);
  const bytes = kvBytesOfSequence(to, tokens) * to.parallelism.tensor * to.parallelism.pipeline;
  const copies = to.model.layers.every((group) => group.attention.kind === "latent")
    ? 1 / to.parallelism.tensor
    : 1;
  return 1 + ((bytes * copies) / (lanes * perGpu * 0.7)) * 1e3;
}

/** First-token time with the queue of another arrival process than the closed loop that the terms were fitted to. */
function queued(
  arrival: Arrival | undefined,
  closedMs: number,
  aloneMs: number,
  {
    ratePerMs,
    serviceMs,
    waiting,
  }: { readonly ratePerMs: number; readonly serviceMs: number; readonly waiting: number },
): number {
  if (arrival === "poisson")
    return aloneMs + poissonWaitMs(Math.min(ratePerMs, 0.99 / serviceMs) * 1000, serviceMs);
  if (arrival === "burst") return aloneMs + ((waiting - 1) / 2) * serviceMs;
  return closedMs;
}

function firstToken(
  terms: FirstTokenTerms,
  stepMs: number,
  ownMs: number,
  waitMs: number,
  burstMs: number,
): number {
  return (
    terms.fixedMs +
    terms.steps * stepMs +
    terms.prefill * ownMs +
    terms.queue * waitMs +
    terms.burst * burstMs
  );
}

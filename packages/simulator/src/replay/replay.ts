import { createVirtualClock, hashSchemeXxh3 } from "@stator/core";
import { createSelector, type SelectRequest, type SelectorOptions } from "@stator/router/selector";
import type { EvictionOrder } from "../cluster/block-cache.ts";
import { createSimulatedWorker, type SimulatedWorker } from "../cluster/simulated-worker.ts";
import { traceBlockNames } from "../workload/block-names-of-trace.ts";
import { TRACE_BLOCK_TOKENS, type TraceRequest } from "../workload/trace-request.ts";
import { replaySummary, type ReplaySummary, type RequestOutcome } from "./replay-summary.ts";

export interface ReplayOptions {
  readonly workers: number;
  readonly prefillTokensPerSecond: number;
  /** Fixed part of each prefill, in milliseconds. Default 0. */
  readonly prefillFixedMs?: number;
  /** Time between tokens, in milliseconds, alone or as a function of the requests that decode. */
  readonly interTokenMs: number | ((decoding: number) => number);
  /** KV blocks of each worker. */
  readonly kvBlocks: number;
  /** Of recorded decisions, their router's. Default 512, that of the public traces. */
  readonly blockTokens?: number;
  /** The selector under test; its clock and seed are set by the replay. */
  readonly selector: Omit<SelectorOptions, "clock" | "seed">;
  /** Default 1. */
  readonly seed?: number;
  /** Divides the gaps between arrivals. Default 1. */
  readonly speedup?: number;
  /** From an event at a worker to the router's knowledge of it, in milliseconds. Default 5. */
  readonly eventDelayMs?: number;
  /** Requests in flight at once, each ended one bringing the next; arrival times are ignored. Absent: open loop. */
  readonly concurrency?: number;
  /** Default `tailFirst`. */
  readonly eviction?: EvictionOrder;
  /** Hears each decision. */
  readonly onDecision?: (outcome: RequestOutcome) => void;
}

export interface ReplayResult extends ReplaySummary {
  readonly outcomes: readonly RequestOutcome[];
}

/**
 * Runs a workload through the real selector against simulated workers in virtual time. The selector knows what a real
 * one would: its own bookings, first tokens, progress, and KV events that arrive late; never the simulator's queues.
 *
 * @throws RangeError for recorded names of blocks of another size than `blockTokens`.
 */
export function replay(workload: readonly TraceRequest[], options: ReplayOptions): ReplayResult {
  const blockTokens = options.blockTokens ?? TRACE_BLOCK_TOKENS;
  const { speedup = 1, eventDelayMs = 5, prefillFixedMs = 0, interTokenMs } = options;
  const clock = createVirtualClock();
  const selector = createSelector({ ...options.selector, clock, seed: options.seed ?? 1 });
  const workers = new Map<string, SimulatedWorker>();
  for (let i = 0; i < options.workers; i++) {
    const id = `worker-${i}`;
    workers.set(
      id,
      createSimulatedWorker({
        id,
        clock,
        blockTokens,
        kvBlocks: options.kvBlocks,
        prefillMs: (newTokens) => prefillFixedMs + (newTokens * 1000) / options.prefillTokensPerSecond,
        interTokenMs: typeof interTokenMs === "number" ? () => interTokenMs : interTokenMs,
        ...(options.eviction === undefined ? {} : { eviction: options.eviction }),
        onEvents: (batch) => clock.schedule(eventDelayMs, () => selector.observe(batch)),
      }),
    );
    selector.addWorker(
      {
        id,
        epoch: "1",
        role: "both",
        model: "replay",
        capacity: { requests: 256, kvBlocks: options.kvBlocks, queue: 4096 },
        ranks: 1,
        labels: {},
      },
      { blockTokens, hashScheme: hashSchemeXxh3, adapters: [] },
    );
  }

  const outcomes: RequestOutcome[] = [];
  let started = 0;

  function arrive(request: TraceRequest): void {
    const atMs = clock.now();
    const names = namesOf(request, blockTokens);
    const select: SelectRequest = {
      names,
      promptTokens: request.inputTokens,
      ...(request.session === undefined ? {} : { hints: { sessionId: request.session } }),
    };
    const decision = selector.select(select);
    const booking = selector.book(decision);
    const outcome: RequestOutcome = {
      atMs,
      worker: booking.worker,
      inputTokens: request.inputTokens,
      blocks: names.length,
      predictedTokens: booking.cachedTokens,
      predictedMs: decision.chosen!.queueMs + decision.chosen!.prefillMs,
      cachedTokens: 0,
      ttftMs: 0,
      finishedMs: 0,
    };
    outcomes.push(outcome);
    workers.get(booking.worker)!.start({
      names,
      inputTokens: request.inputTokens,
      outputTokens: Math.max(1, request.outputTokens),
      onFirstToken(cachedTokens) {
        outcome.cachedTokens = cachedTokens;
        outcome.ttftMs = clock.now() - atMs;
        booking.prefilled({ cachedTokens });
      },
      onProgress: (tokens) => booking.progress(tokens),
      onFinished() {
        booking.free();
        outcome.finishedMs = clock.now();
        options.onDecision?.(outcome);
        if (options.concurrency !== undefined) startNext();
      },
    });
  }

  function startNext(): void {
    const request = workload[started++];
    if (request !== undefined) arrive(request);
  }

  if (options.concurrency === undefined) {
    for (const request of workload) {
      const atMs = request.atMs / speedup;
      if (atMs > clock.now()) clock.advance(atMs - clock.now());
      arrive(request);
    }
  } else for (let i = 0; i < options.concurrency; i++) startNext();
  while (clock.pending > 0) clock.advance(60_000);

  const computed = [...workers.values()].map((worker) => worker.computedTokens);
  return { ...replaySummary(outcomes, computed, blockTokens), outcomes };
}

/** @throws RangeError for recorded names of blocks of another size: every depth would be taken for another length. */
function namesOf(request: TraceRequest, blockTokens: number): BigUint64Array {
  const { names, inputTokens } = request;
  if (names === undefined) return traceBlockNames(request, blockTokens);
  const [least, most] = [Math.floor(inputTokens / blockTokens), Math.ceil(inputTokens / blockTokens)];
  if (names.length < least || names.length > most) {
    throw new RangeError(
      `A request of ${inputTokens} tokens has ${names.length} recorded blocks, which are not blocks of ${blockTokens}: set blockTokens.`,
    );
  }
  return names;
}

import { hashSchemeXxh3, type KvEvent, type LayoutPool } from "@stator/core";
import { policyByName } from "@stator/router";
import { createSelector, type Selector } from "@stator/router/selector";
import { createBatchingRank } from "../engine/batching-rank.ts";
import type { BatchingRank, Job } from "../engine/rank.ts";
import type { BlockNumbers } from "../engine/block-numbers.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Histogram } from "../report/histogram.ts";
import { createKvMemory } from "../engine/kv-memory.ts";
import type { WorkerReport } from "../simulation.ts";
import { createTimeline } from "../report/timeline.ts";
import type { WorkerModel } from "../engine/worker-model.ts";

/** One worker of a simulated pool. */
export interface PoolWorker {
  readonly id: string;
  readonly ranks: readonly BatchingRank[];
  requests: number;
  readonly isGone: boolean;
  report(endMs: number): WorkerReport;
}

/** Equal workers behind a real selector. */
export interface SimulatedPool {
  readonly name: string;
  readonly role: LayoutPool["role"];
  readonly model: WorkerModel;
  readonly selector: Selector;
  readonly workers: ReadonlyMap<string, PoolWorker>;
  /** Tokens of one request that a rank can hold. */
  readonly mostTokens: number;
  /** Neither draining nor gone, oldest first. */
  readonly takingWorkers: readonly string[];
  /** Prompt tokens that wait or are not computed yet, over all workers. */
  queuedTokens(): number;
  /** KV usage of the fullest rank, 0 to 1. */
  fullestKvRatio(): number;
  start(): PoolWorker;
  /** Leaves once it is empty. */
  drain(id: string): void;
  /** What was running there. */
  fail(id: string): readonly Job[];
  /** To be called when requests ended: drained workers leave. */
  sweep(): void;
}

export interface SimulatedPoolOptions {
  readonly name: string;
  readonly pool: LayoutPool;
  readonly model: WorkerModel;
  readonly events: EventQueue;
  readonly blockTokens: number;
  readonly seed: number;
  readonly eventDelayMs: number;
  readonly gaps: Histogram;
  readonly blocks: BlockNumbers;
  /** That it may ever have at once. */
  readonly mostWorkers: number;
}

const DEFAULT_KV_BYTES = 131_072;
/** Of a router's index: two of its 40-byte nodes and its share of the table for each block, and room for as much again. */
const INDEX_BYTES_PER_BLOCK = 256;
const LEAST_INDEX_BYTES = 16 * 1024 * 1024;
const MOST_INDEX_BYTES = 256 * 1024 * 1024;

export function createSimulatedPool(options: SimulatedPoolOptions): SimulatedPool {
  const { name, pool, model, events, blockTokens, gaps, blocks } = options;
  const kvBlocks = Math.max(1, Math.floor(model.kvTokens / blockTokens));
  const hostBlocks = Math.floor((model.hostKvTokens ?? 0) / blockTokens);
  // Memory that is reserved and never used still counts for the garbage collector, which then runs all the time.
  const mostBlocks = options.mostWorkers * (model.ranks ?? 1) * (kvBlocks + hostBlocks);
  const selector = createSelector({
    clock: events,
    seed: options.seed,
    index: {
      maxBytes: Math.min(MOST_INDEX_BYTES, Math.max(LEAST_INDEX_BYTES, mostBlocks * INDEX_BYTES_PER_BLOCK)),
    },
    ...(pool.policy === undefined ? {} : { policy: policyByName(pool.policy.name, pool.policy.options) }),
  });
  const hostBlockMs =
    ((model.kvBytesPerToken ?? DEFAULT_KV_BYTES) * blockTokens * 1000) / (model.hostBytesPerSecond ?? 25e9);
  const workers = new Map<string, PoolWorker>();
  const draining = new Set<string>();
  const ended = new Map<string, { readonly atMs: number; readonly how: "drained" | "failed" }>();

  function start(): PoolWorker {
    const id = `${name}-${workers.size}`;
    const startedMs = events.now();
    const timeline = createTimeline();
    const ranksWanted = model.ranks ?? 1;
    let busyMs = 0;
    let sequence = 0n;
    let unsent: KvEvent[] = [];

    // Everything of one moment goes in one batch, as engines send one batch a step.
    function emit(event: KvEvent): void {
      unsent.push(event);
      if (unsent.length > 1) return;
      events.at(events.now() + options.eventDelayMs, () => {
        const batch = unsent;
        unsent = [];
        selector.observe({ worker: id, epoch: "1", sequence: ++sequence, events: batch });
      });
    }

    const ranks = Array.from({ length: ranksWanted }, (_, rank) => {
      const memory = createKvMemory(kvBlocks, hostBlocks, {
        stored(chain, from, to) {
          const parent = from === 0 ? undefined : chain.names[from - 1]!;
          emit({
            type: "stored",
            ...(parent === undefined ? {} : { parent }),
            sequenceHashes: chain.names.subarray(from, to),
            tier: "device",
            rank,
          });
        },
        removed: (tier, gone) => emit({ type: "removed", sequenceHashes: blocks.names(gone), tier, rank }),
        offloaded(block) {
          const parent = blocks.parentName(block);
          emit({
            type: "stored",
            ...(parent === undefined ? {} : { parent }),
            sequenceHashes: blocks.names([block]),
            tier: "host",
            rank,
          });
        },
      });
      return createBatchingRank({
        events,
        memory,
        blockTokens,
        gaps,
        stepMs: model.stepMs,
        sequences: model.sequences ?? 256,
        stepTokens: model.stepTokens ?? 8192,
        hostBlockMs,
        onSpan(fromMs, toMs, span) {
          busyMs += toMs - fromMs;
          timeline.add(fromMs, toMs, span);
        },
      });
    });

    const worker: PoolWorker = {
      id,
      ranks,
      requests: 0,
      get isGone() {
        return ended.has(id);
      },
      report(endMs) {
        const end = ended.get(id);
        const lifeMs = Math.max(1e-9, (end?.atMs ?? endMs) - startedMs) * ranksWanted;
        return {
          worker: id,
          pool: name,
          gpus: model.gpus ?? 1,
          startedMs,
          endedMs: end?.atMs,
          end: end?.how,
          requests: worker.requests,
          computedTokens: ranks.reduce((sum, rank) => sum + rank.computedTokens, 0),
          preemptions: ranks.reduce((sum, rank) => sum + rank.preemptions, 0),
          busyRatio: Math.min(1, Math.round((busyMs / lifeMs) * 1000) / 1000),
          timeline: timeline.read(endMs, ranksWanted),
        };
      },
    };
    workers.set(id, worker);
    selector.addWorker(
      {
        id,
        epoch: "1",
        role: pool.role,
        model: name,
        capacity: { requests: model.sequences ?? 256, kvBlocks: kvBlocks * ranksWanted, queue: 65_536 },
        ranks: ranksWanted,
        labels: pool.labels ?? {},
      },
      { blockTokens, hashScheme: hashSchemeXxh3, adapters: [] },
    );
    return worker;
  }

  function living(): readonly BatchingRank[] {
    return [...workers.values()].filter((worker) => !worker.isGone).flatMap((worker) => worker.ranks);
  }

  function sweep(): void {
    for (const id of draining) {
      if (workers.get(id)!.ranks.some((rank) => !rank.isEmpty)) continue;
      draining.delete(id);
      selector.removeWorker(id);
      ended.set(id, { atMs: events.now(), how: "drained" });
    }
  }

  return {
    name,
    role: pool.role,
    model,
    selector,
    workers,
    mostTokens: kvBlocks * blockTokens,
    get takingWorkers() {
      return [...workers.keys()].filter((id) => !draining.has(id) && !ended.has(id));
    },
    queuedTokens: () => living().reduce((sum, rank) => sum + rank.queuedTokens, 0),
    fullestKvRatio: () => living().reduce((most, rank) => Math.max(most, rank.kvRatio), 0),
    start,
    drain(id) {
      if (ended.has(id)) return;
      draining.add(id);
      selector.observeStatus(id, "1", {
        step: 0,
        stepAgeMs: 0,
        stepExpectedMs: 0,
        isDraining: true,
        load: { running: 0, waiting: 0, queuedPrefillTokens: 0, kvBlocksUsed: 0, kvBlocksTotal: kvBlocks },
      });
      sweep();
    },
    fail(id) {
      const worker = workers.get(id)!;
      if (ended.has(id)) return [];
      draining.delete(id);
      ended.set(id, { atMs: events.now(), how: "failed" });
      return worker.ranks.flatMap((rank) => rank.fail());
    },
    sweep,
  };
}

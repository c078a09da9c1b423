import type { Clock, KvEventBatch, Logger, Worker } from "@stator/core";
import type { ObserveResult, Selector, SelectorCard } from "../selector/selector.ts";
import { createBatchJoiner } from "./batch-parts.ts";
import type { ReplicaMessage, ReplicaWorker } from "./replica-message.ts";
import { createSnapshotSender } from "./snapshot-sender.ts";

/** Removed lives that are remembered, so that nobody brings them back. */
const MOST_REMOVED = 1024;
/** Wait before a snapshot is asked for again, in milliseconds; after as many tries as losses explain, doubled each time. */
const ASK_AGAIN_MS = 240;
const QUICK_TRIES = 8;
const LONGEST_ASK_MS = 8000;
/** Batches of a worker that wait for an earlier one. */
const MOST_HELD = 64;

/** Workers and their KV events as one replica hears of them, told to the others. */
export interface ReplicaIndex {
  addWorker(worker: Worker, card: SelectorCard): void;
  removeWorker(worker: string, epoch?: string): void;
  observe(batch: KvEventBatch): ObserveResult;
  receive(message: ReplicaMessage, nowMs: number): void;
  /** For `alive`. */
  workers(): ReplicaWorker[];
  close(): void;
}

export interface ReplicaIndexOptions {
  readonly selector: Selector;
  readonly router: string;
  readonly publish: (message: ReplicaMessage) => void;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Keeps the indexes of replicas equal though messages may be lost: each says how far it is, and who is behind twice in a row
 * asks for a snapshot. So does a new one, which thereby starts warm.
 */
export function createReplicaIndex(options: ReplicaIndexOptions): ReplicaIndex {
  const { selector, router, publish, logger } = options;
  const sender = createSnapshotSender(options);
  /** Where messages come as they were published, parts of long batches are put together here. */
  const joiner = createBatchJoiner();
  const known = new Map<string, { readonly worker: Worker; readonly card: SelectorCard }>();
  const removed = new Set<string>();
  const asked = new Map<string, { readonly atMs: number; readonly tries: number }>();
  /** Batches that came before their turn, by worker and sequence. */
  const held = new Map<string, Map<bigint, KvEventBatch>>();
  /** By peer and worker: what came next here when that peer was first seen to be ahead. */
  const behind = new Map<string, bigint>();

  function add(worker: Worker, card: SelectorCard): void {
    selector.addWorker(worker, card);
    known.set(worker.id, { worker, card });
    removed.delete(`${worker.id}@${worker.epoch}`);
  }

  function drop(id: string, epoch: string): void {
    selector.removeWorker(id, epoch);
    if (known.get(id)?.worker.epoch === epoch) known.delete(id);
    held.delete(id);
    asked.delete(id);
    removed.add(`${id}@${epoch}`);
    if (removed.size > MOST_REMOVED) removed.delete(removed.values().next().value!);
  }

  function ask(to: string, worker: string, nowMs: number): void {
    const last = asked.get(worker);
    const tries = last?.tries ?? 0;
    const waitMs = Math.min(ASK_AGAIN_MS * 2 ** Math.max(0, tries - QUICK_TRIES), LONGEST_ASK_MS);
    if (last !== undefined && nowMs - last.atMs < waitMs) return;
    asked.set(worker, { atMs: nowMs, tries: tries + 1 });
    publish({ type: "wanted", router, to, worker });
  }

  /** Applies a batch and those that waited for it; one before its turn waits, and `alive` tells if its turn never comes. */
  function take(batch: KvEventBatch): void {
    const { worker } = batch;
    const waiting = held.get(worker);
    const result = selector.observe(batch);
    if (result === "gap") {
      if (waiting === undefined) held.set(worker, new Map([[batch.sequence, batch]]));
      else {
        waiting.set(batch.sequence, batch);
        // A snapshot on its way is younger than the oldest.
        if (waiting.size > MOST_HELD) waiting.delete(waiting.keys().next().value!);
      }
      return;
    }
    if (result !== "applied") return;
    asked.delete(worker);
    if (waiting === undefined) return;
    for (let next = selector.nextSequence(worker); next !== undefined; next = selector.nextSequence(worker)) {
      const due = waiting.get(next);
      if (due === undefined || selector.observe(due) !== "applied") break;
    }
    const next = selector.nextSequence(worker) ?? 0n;
    for (const sequence of waiting.keys()) if (sequence < next) waiting.delete(sequence);
    if (waiting.size === 0) held.delete(worker);
  }

  function compare(from: string, theirs: ReplicaWorker, nowMs: number): void {
    const { worker, epoch, next } = theirs;
    if (removed.has(`${worker}@${epoch}`)) {
      publish({ type: "workerRemoved", router, worker, epoch });
      return;
    }
    const mine = known.get(worker);
    if (mine === undefined) {
      ask(from, worker, nowMs);
      return;
    }
    const here = selector.nextSequence(worker) ?? 0n;
    const key = `${from}/${worker}`;
    if (mine.worker.epoch !== epoch || next <= here) behind.delete(key);
    // Its events may only be on their way: the second time they are late.
    else if (behind.get(key) === here) ask(from, worker, nowMs);
    else behind.set(key, here);
  }

  return {
    addWorker(worker, card) {
      add(worker, card);
      publish({ type: "workerAdded", router, worker, card });
    },
    removeWorker(id, epoch) {
      const life = epoch ?? known.get(id)?.worker.epoch;
      if (life === undefined) return;
      drop(id, life);
      publish({ type: "workerRemoved", router, worker: id, epoch: life });
    },
    observe(batch) {
      const result = selector.observe(batch);
      if (result === "applied") publish({ type: "observed", router, batch });
      return result;
    },
    receive(message, nowMs) {
      const from = message.router;
      if (message.type === "left")
        for (const key of behind.keys()) if (key.startsWith(`${from}/`)) behind.delete(key);
      if (message.type === "workerAdded") {
        const { worker, card } = message;
        if (removed.has(`${worker.id}@${worker.epoch}`)) return;
        try {
          add(worker, card);
        } catch (error) {
          logger.error("worker of another router refused", { worker: worker.id, error: String(error) });
        }
      } else if (message.type === "workerRemoved") drop(message.worker, message.epoch);
      else if (message.type === "observed") {
        const { part = 0, isPartial = false } = message;
        const batch = joiner.add({ batch: message.batch, part, isPartial });
        if (batch === undefined) return;
        if (known.has(batch.worker)) take(batch);
        else if (!removed.has(`${batch.worker}@${batch.epoch}`)) ask(from, batch.worker, nowMs);
      } else if (message.type === "wanted") {
        const mine = known.get(message.worker);
        if (mine === undefined) return;
        publish({ type: "workerAdded", router, to: from, ...mine });
        sender.send(from, message.worker);
      } else if (message.type === "alive") for (const each of message.workers) compare(from, each, nowMs);
    },
    close: () => sender.close(),
    workers: () =>
      [...known.values()].map(({ worker: { id, epoch } }) => ({
        worker: id,
        epoch,
        next: selector.nextSequence(id) ?? 0n,
      })),
  };
}

import type { EngineLoad } from "@stator/core";

import type { BlockPool } from "../kv/block-pool.ts";
import { namesOf, type Sequence } from "./sequence.ts";
import type { StepBatch } from "./step-batch.ts";

/** How many ids of a sequence one step computes. */
export interface StepItem {
  readonly sequence: Sequence;
  readonly tokens: number;
}

export interface Step {
  readonly items: readonly StepItem[];
  readonly batch: StepBatch;
}

export interface SchedulerOptions {
  readonly pool: BlockPool;
  readonly blockTokens: number;
  /** Sequences that run at once. */
  readonly maxRunning: number;
  /** Ids computed in one step, prompts and decodes together. */
  readonly maxBatchedTokens: number;
}

/** Continuous batching: every running sequence takes part in every step, prompts in chunks of what the budget leaves. */
export interface Scheduler {
  add(sequence: Sequence): void;
  /** Frees all that a sequence holds. Idempotent. */
  remove(sequence: Sequence): void;
  /** The next step, with all blocks that it writes allocated; undefined when there is nothing to do. */
  form(): Step | undefined;
  load(): EngineLoad;
  waiting(): number;
  all(): Sequence[];
}

export function createScheduler({
  pool,
  blockTokens,
  maxRunning,
  maxBatchedTokens,
}: SchedulerOptions): Scheduler {
  const running: Sequence[] = [];
  const waiting: Sequence[] = [];

  const letGo = (sequence: Sequence): void => {
    pool.release(sequence.blocks);
    sequence.blocks = [];
    sequence.computed = 0;
    sequence.published = 0;
  };

  const allocate = (sequence: Sequence, upTo: number): boolean => {
    while (sequence.blocks.length * blockTokens < upTo) {
      const block = pool.take();
      if (block === undefined) return false;
      sequence.blocks.push(block);
    }
    return true;
  };

  /** Preempts the youngest sequences until `sequence` has its blocks; false if it had to go itself. */
  const allocateOrPreempt = (sequence: Sequence, upTo: number): boolean => {
    while (!allocate(sequence, upTo)) {
      const youngest = running.pop()!;
      letGo(youngest);
      waiting.unshift(youngest);
      if (youngest === sequence) return false;
    }
    return true;
  };

  /** Takes what the cache and the handoff already have. False when the rest would not fit now. */
  const admit = (sequence: Sequence): boolean => {
    const reusable = Math.floor((sequence.length - 1) / blockTokens);
    const names = namesOf(sequence, reusable);
    const cached = pool.match(names, sequence.ids, sequence.scope, reusable);
    const blocks = pool.share(names, cached);
    if (pool.available() < Math.ceil((sequence.length + 1) / blockTokens) - cached) {
      pool.release(blocks);
      return false;
    }
    for (let i = cached; i < reusable; i++) {
      const content = sequence.received[i];
      if (content === undefined) break;
      const block = pool.take()!;
      pool.write(block, content);
      blocks.push(block);
    }
    sequence.blocks = blocks;
    sequence.computed = blocks.length * blockTokens;
    sequence.published = cached;
    if (!sequence.saidCached) {
      sequence.saidCached = true;
      sequence.output.cached(Math.min(sequence.computed, sequence.promptTokens));
    }
    return true;
  };

  return {
    add(sequence) {
      const priority = sequence.request.priority ?? 0;
      let at = waiting.length;
      while (at > 0 && (waiting[at - 1]!.request.priority ?? 0) < priority) at--;
      waiting.splice(at, 0, sequence);
    },
    remove(sequence) {
      letGo(sequence);
      const runs = running.indexOf(sequence);
      if (runs >= 0) running.splice(runs, 1);
      const waits = waiting.indexOf(sequence);
      if (waits >= 0) waiting.splice(waits, 1);
    },
    form() {
      if (running.length === 0 && waiting.length === 0) return undefined;
      const items: StepItem[] = [];
      const waitingBefore = waiting.length;
      let budget = maxBatchedTokens;
      const plan = (sequence: Sequence): void => {
        const tokens = Math.min(sequence.length - sequence.computed, budget);
        if (tokens === 0 || !allocateOrPreempt(sequence, sequence.computed + tokens)) return;
        budget -= tokens;
        items.push({ sequence, tokens });
      };
      // Decodes first: a long prompt must not starve them of the budget.
      for (let i = 0; i < running.length; i++) {
        const sequence = running[i]!;
        if (sequence.length - sequence.computed === 1) plan(sequence);
      }
      for (let i = 0; i < running.length; i++) {
        const sequence = running[i]!;
        if (sequence.length - sequence.computed > 1) plan(sequence);
      }
      const hasPreempted = waiting.length > waitingBefore;
      while (
        !hasPreempted &&
        waiting.length > 0 &&
        running.length < maxRunning &&
        budget > 0 &&
        admit(waiting[0]!)
      ) {
        const sequence = waiting.shift()!;
        running.push(sequence);
        plan(sequence);
      }
      // Those preempted after they were planned have no blocks any more.
      return describe(hasPreempted ? items.filter(({ sequence }) => sequence.blocks.length > 0) : items);
    },
    load() {
      let queuedPrefillTokens = 0;
      for (const { length, computed } of waiting) queuedPrefillTokens += length - computed;
      for (const { length, computed } of running)
        if (length - computed > 1) queuedPrefillTokens += length - computed;
      return {
        running: running.length,
        waiting: waiting.length,
        queuedPrefillTokens,
        kvBlocksUsed: pool.used(),
        kvBlocksTotal: pool.total,
      };
    },
    waiting: () => waiting.length,
    all: () => [...running, ...waiting],
  };
}

function describe(items: readonly StepItem[]): Step {
  const batch = {
    decodeSequences: 0,
    decodeContextTokens: 0,
    prefillSequences: 0,
    prefillTokens: 0,
    prefillContextTokens: 0,
  };
  for (const { sequence, tokens } of items) {
    if (tokens === 1 && sequence.computed >= sequence.promptTokens) {
      batch.decodeSequences++;
      batch.decodeContextTokens += sequence.computed;
    } else {
      batch.prefillSequences++;
      batch.prefillTokens += tokens;
      batch.prefillContextTokens += sequence.computed;
    }
  }
  return { items, batch };
}

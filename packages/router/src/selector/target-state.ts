import type { EngineLoad, Worker } from "@stator/core";
import { createEventProof, type EventProof } from "../load/event-proof.ts";
import type { PrefillModel } from "../load/time-model.ts";
import type { PredictionCheck } from "../load/prediction-check.ts";
import type { BookingState } from "./booking.ts";
import type { Candidate, ProbeRecord } from "./selector.ts";

/** What the selector believes about one target, and the candidate that policies see, filled anew for each decision. */
export interface TargetState extends Candidate {
  readonly number: number;
  readonly source: Worker;
  readonly adapters: readonly string[];
  readonly prefill: PrefillModel;
  readonly prediction: PredictionCheck;
  readonly proof: EventProof;
  /** Booked prompts not yet computed, first come first. */
  readonly pending: Set<BookingState>;
  pendingTokens: number;
  bookedRequests: number;
  bookedBlocks: number;
  /** When the prompt computed last was done: the next one's start. */
  lastPrefilledMs: number;
  /** Load in the worker's report beyond what was booked here: other routers' requests. */
  foreignTokens: number;
  foreignRequests: number;
  foreignBlocks: number;
  /** Blocks that its engine keeps for decodes that will not come: no request's end frees them. */
  leakedBlocks: number;
  hasEvents: boolean;
  probe: ProbeRecord;
  isDraining: boolean;

  cachedTokens: number;
  predictedTokens: number;
  slowTierTokens: number;
  promptTokens: number;
  queuedPrefillTokens: number;
  activeRequests: number;
  decodeBlocks: number;
  leakMs: number;
  queueMs: number;
  prefillMs: number;
  transferMs: number;
  tierMs: number;
  decodeMs: number;
  costMs: number;
  errorMs: number;
}

const notProbed: ProbeRecord = { outcome: "none", attempts: 0 };

export interface TargetInit {
  readonly number: number;
  readonly rank: number;
  readonly worker: Worker;
  readonly adapters: readonly string[];
  readonly blockTokens: number;
  readonly prefill: PrefillModel;
  readonly prediction: PredictionCheck;
}

export function createTargetState(init: TargetInit): TargetState {
  const { worker } = init;
  return {
    worker: worker.id,
    epoch: worker.epoch,
    rank: init.rank,
    labels: worker.labels,
    kvBlocks: Math.floor(worker.capacity.kvBlocks / worker.ranks),
    blockTokens: init.blockTokens,
    number: init.number,
    source: worker,
    adapters: init.adapters,
    prefill: init.prefill,
    prediction: init.prediction,
    proof: createEventProof(),
    pending: new Set(),
    pendingTokens: 0,
    bookedRequests: 0,
    bookedBlocks: 0,
    lastPrefilledMs: -Infinity,
    foreignTokens: 0,
    foreignRequests: 0,
    foreignBlocks: 0,
    leakedBlocks: 0,
    hasEvents: false,
    probe: notProbed,
    isDraining: false,
    cachedTokens: 0,
    predictedTokens: 0,
    slowTierTokens: 0,
    promptTokens: 0,
    queuedPrefillTokens: 0,
    activeRequests: 0,
    decodeBlocks: 0,
    leakMs: 0,
    queueMs: 0,
    prefillMs: 0,
    transferMs: 0,
    tierMs: 0,
    decodeMs: 0,
    costMs: 0,
    errorMs: 0,
  };
}

/** Milliseconds until a prompt booked now would start, by this target's own prefill line. */
export function queueMsOf(target: TargetState, nowMs: number): number {
  const { intercept, slope } = target.prefill.line;
  let queueMs = target.foreignTokens * slope;
  if (target.pending.size === 0) return queueMs;
  queueMs += target.pending.size * intercept + target.pendingTokens * slope;
  for (const head of target.pending) {
    // What the head has run already is no longer to be waited for; an overdue head counts as nearly done.
    const startedMs = Math.max(head.bookedMs, target.lastPrefilledMs);
    queueMs -= Math.min(nowMs - startedMs, intercept + head.uncachedTokens * slope);
    break;
  }
  return Math.max(0, queueMs);
}

/** Takes over the worker's own report where it says more than is booked here. */
export function reconcile(target: TargetState, load: EngineLoad): void {
  target.foreignTokens = Math.max(0, load.queuedPrefillTokens - target.pendingTokens);
  target.foreignRequests = Math.max(0, load.running + load.waiting - target.bookedRequests);
  target.leakedBlocks = load.kvBlocksLeaked ?? 0;
  target.foreignBlocks =
    target.foreignRequests === 0
      ? 0
      : Math.max(0, load.kvBlocksUsed - target.leakedBlocks - target.bookedBlocks);
}

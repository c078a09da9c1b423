import type { ActiveBlocks } from "../load/active-blocks.ts";
import type { LinearFit } from "../load/linear-fit.ts";
import type { Booking, Chosen, SelectRequest } from "./selector.ts";
import type { TargetState } from "./target-state.ts";

/** A booking as its target keeps it while the prompt waits. */
export interface BookingState {
  readonly bookedMs: number;
  readonly uncachedTokens: number;
}

export interface BookingContext {
  readonly now: () => number;
  readonly activeBlocks: ActiveBlocks;
  /** Milliseconds between tokens against requests decoding there. */
  readonly interTokenFit: LinearFit;
  readonly onFinished: (outputTokens: number) => void;
  /** A prompt was computed that the index had `knownBlocks` of; -1 when that was not looked up. */
  readonly onComputed: (target: TargetState, request: SelectRequest, knownBlocks: number) => void;
  readonly onPrediction: (target: TargetState, predictedTokens: number, actualTokens: number) => void;
}

const SAMPLE_TOKENS = 16;

/** Adds a request to its target's load and returns the handle that takes it away again. */
export function createBooking(
  target: TargetState,
  chosen: Chosen,
  request: SelectRequest,
  landmarks: BigUint64Array,
  knownBlocks: number,
  context: BookingContext,
): Booking {
  const { now, activeBlocks } = context;
  const decodes = request.phase !== "prefill";
  const prefills = request.phase !== "decode";
  const state: BookingState = {
    bookedMs: now(),
    uncachedTokens: Math.max(1, request.promptTokens - chosen.cachedTokens),
  };
  let isPending = prefills;
  let isOpen = true;
  let outputTokens = 0;
  let outputBlocks = 0;
  let sampledMs = -1;
  let sampledTokens = 0;
  const cachedTokens = chosen.cachedTokens;

  target.bookedRequests++;
  target.bookedBlocks += activeBlocks.add(target.number, landmarks);
  if (isPending) {
    target.pending.add(state);
    target.pendingTokens += state.uncachedTokens;
  }

  function leaveQueue(): void {
    if (!isPending) return;
    isPending = false;
    target.pending.delete(state);
    target.pendingTokens -= state.uncachedTokens;
  }

  return {
    worker: chosen.worker,
    epoch: chosen.epoch,
    rank: chosen.rank,
    cachedTokens,
    costMs: chosen.costMs,
    prefilled(report) {
      if (!isOpen || !isPending) return;
      const nowMs = now();
      leaveQueue();
      const startedMs = Math.max(state.bookedMs, target.lastPrefilledMs);
      target.lastPrefilledMs = nowMs;
      if (knownBlocks >= 0) context.onComputed(target, request, knownBlocks);
      const actual = report?.cachedTokens;
      target.prefill.learn(
        actual === undefined ? state.uncachedTokens : Math.max(1, request.promptTokens - actual),
        nowMs - startedMs,
      );
      if (actual !== undefined) context.onPrediction(target, chosen.predictedTokens, actual);
    },
    progress(tokens) {
      if (!isOpen || tokens <= outputTokens) return;
      outputTokens = tokens;
      const blocks = decodes ? Math.floor(tokens / target.blockTokens) : 0;
      target.bookedBlocks += blocks - outputBlocks;
      outputBlocks = blocks;
      if (tokens - sampledTokens < SAMPLE_TOKENS && sampledMs >= 0) return;
      const nowMs = now();
      if (sampledMs >= 0) {
        context.interTokenFit.add(
          target.bookedRequests - target.pending.size,
          (nowMs - sampledMs) / (tokens - sampledTokens),
        );
      }
      sampledMs = nowMs;
      sampledTokens = tokens;
    },
    free() {
      if (!isOpen) return;
      isOpen = false;
      leaveQueue();
      target.bookedRequests--;
      target.bookedBlocks -= activeBlocks.remove(target.number, landmarks) + outputBlocks;
      if (outputTokens > 0) context.onFinished(outputTokens);
    },
  };
}

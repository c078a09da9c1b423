import type { ActiveBlocks } from "../load/active-blocks.ts";
import type { LinearEstimate, LinearFit } from "../load/linear-fit.ts";
import { landmarksOf } from "../load/landmarks.ts";
import type { PrefixMatch } from "../index/prefix-index.ts";
import type { ResolvedCost } from "./options.ts";
import type { SelectRequest } from "./selector.ts";
import { queueMsOf, type TargetState } from "./target-state.ts";

/** Until measured, decode does not slow with company. */
const INTER_TOKEN_PRIOR: LinearEstimate = { intercept: 20, slope: 0, deviation: 10 };

/**
 * How long a prompt waits that fits only when everything is free that leaked: vLLM's lease (`kv_lease_duration` of its NIXL
 * connector, 30 s; releases before it held on for 480 s).
 */
const LEAK_MS = 30_000;

export interface CostingContext {
  readonly cost: ResolvedCost;
  readonly activeBlocks: ActiveBlocks;
  readonly interTokenFit: LinearFit;
  readonly meanOutputTokens: () => number;
}

/** Fills a target's candidate facts and cost terms for one request. */
export interface Costing {
  fill(
    target: TargetState,
    request: SelectRequest,
    depthBlocks: number,
    match: PrefixMatch,
    nowMs: number,
  ): void;
}

export function createCosting(context: CostingContext): Costing {
  const { cost, activeBlocks, interTokenFit } = context;
  let interToken = INTER_TOKEN_PRIOR;
  let interTokenSamples = 0;
  let landmarksFor: BigUint64Array | undefined;
  let landmarks: BigUint64Array = new BigUint64Array(0);

  return {
    fill(target, request, depthBlocks, match, nowMs) {
      if (interTokenFit.samples >= interTokenSamples + 32) {
        interTokenSamples = interTokenFit.samples;
        interToken = interTokenFit.estimate(INTER_TOKEN_PRIOR, 8, 4);
      }
      if (landmarksFor !== request.names) {
        landmarksFor = request.names;
        landmarks = landmarksOf(request.names);
      }
      const { blockTokens } = target;
      const { promptTokens, phase } = request;
      const line = target.prefill.line;
      const isTrusted = !target.prediction.record.isDistrusted;
      const provenTokens = Math.min(depthBlocks * blockTokens, promptTokens);
      const reachableTokens = Math.max(provenTokens, Math.min(match.sharedDepth * blockTokens, promptTokens));
      const sharedTokens = isTrusted ? reachableTokens - provenTokens : 0;
      const hostTokens = isTrusted ? match.hostBlocks[target.number]! * blockTokens : 0;
      const diskTokens = isTrusted ? match.diskBlocks[target.number]! * blockTokens : 0;
      const cachedTokens = isTrusted ? reachableTokens : 0;
      const held = request.heldBy;
      const isHolder =
        held !== undefined && held.worker === target.worker && (held.rank ?? target.rank) === target.rank;
      const movedTokens =
        held === undefined || isHolder ? 0 : Math.max(0, Math.min(held.tokens, promptTokens) - cachedTokens);
      // The last token is always computed: its logits are the first output.
      const uncachedTokens = phase === "decode" ? 0 : Math.max(1, promptTokens - cachedTokens - movedTokens);

      target.promptTokens = promptTokens;
      target.cachedTokens = cachedTokens;
      target.predictedTokens = reachableTokens;
      target.slowTierTokens = sharedTokens + hostTokens + diskTokens;
      target.queuedPrefillTokens = target.pendingTokens + target.foreignTokens;
      target.activeRequests = target.bookedRequests + target.foreignRequests;
      target.decodeBlocks =
        target.bookedBlocks +
        target.foreignBlocks +
        target.leakedBlocks +
        activeBlocks.added(target.number, landmarks);
      target.leakMs = phase === "decode" ? 0 : leakMs(target);
      target.queueMs = queueMsOf(target, nowMs) + target.leakMs;
      target.prefillMs = phase === "decode" ? 0 : line.intercept + uncachedTokens * line.slope;
      target.transferMs =
        movedTokens === 0 ? 0 : cost.transferFixedMs + movedTokens * cost.transferMsPerToken;
      target.tierMs =
        hostTokens * cost.hostMsPerToken +
        diskTokens * cost.diskMsPerToken +
        sharedTokens * cost.sharedMsPerToken;
      target.decodeMs = phase === "prefill" ? 0 : decodeMs(target, request);
      target.costMs =
        (phase === "decode" ? 0 : target.queueMs) +
        (1 + cost.prefillExternality) * target.prefillMs +
        target.transferMs +
        target.tierMs +
        target.decodeMs;
      target.errorMs = line.deviation * Math.sqrt(target.pending.size + 1);
    },
  };

  /** The missing share of what leaked takes that share of its time: leaks began at any moment before. */
  function leakMs({ kvBlocks, leakedBlocks, decodeBlocks }: TargetState): number {
    const missing = decodeBlocks - kvBlocks;
    if (leakedBlocks === 0 || kvBlocks === 0 || missing <= 0) return 0;
    return Math.min(1, missing / leakedBlocks) * LEAK_MS;
  }

  /** Own slowdown by those that decode there, and the wait for KV memory when it is short. */
  function decodeMs(target: TargetState, request: SelectRequest): number {
    const outputTokens = request.expectedOutputTokens ?? context.meanOutputTokens();
    const decoding = Math.max(0, target.activeRequests - target.pending.size);
    let ms = outputTokens * interToken.slope * decoding;
    const needed = target.decodeBlocks + outputTokens / target.blockTokens;
    if (target.kvBlocks > 0 && needed > target.kvBlocks) {
      // Blocks come free as running requests end: the missing share of all takes that share of a request's life.
      ms +=
        ((needed - target.kvBlocks) / target.kvBlocks) *
        outputTokens *
        (interToken.intercept + interToken.slope * decoding);
    }
    return ms;
  }
}

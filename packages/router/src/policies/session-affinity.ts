import { xxh3 } from "@stator/core";
import type { Candidate, Policy } from "../selector/selector.ts";
import { kvAware } from "./kv-aware.ts";

export interface SessionAffinityOptions {
  /** How much above the mean a target may be loaded before its sessions spill to the next. At least 1. Default 1.25. */
  readonly loadFactor?: number;
  /** Decides for requests without `hints.sessionId`. Default `kvAware()`. */
  readonly otherwise?: Policy;
}

const encoder = new TextEncoder();

/**
 * Requests of one session go to one target while its load is bounded: rendezvous hashing with bounded loads (Thaler and
 * Ravishankar 1998; Mirrokni et al. 2018). A target that joins or leaves moves only its own share of the sessions.
 */
export function sessionAffinity(options: SessionAffinityOptions = {}): Policy {
  const { loadFactor = 1.25, otherwise = kvAware() } = options;
  const seeds = new Map<string, bigint>();
  const rankOf = (candidate: Candidate, session: Uint8Array): bigint => {
    const key = `${candidate.worker}/${candidate.rank}`;
    let seed = seeds.get(key);
    if (seed === undefined) {
      if (seeds.size > 8192) seeds.clear();
      seeds.set(key, (seed = xxh3(encoder.encode(key))));
    }
    return xxh3(session, seed);
  };
  return function sessionAffinity(input) {
    const session = input.request.hints?.sessionId;
    if (session === undefined) return otherwise(input);
    const bytes = encoder.encode(session);
    const active = input.candidates.reduce((sum, candidate) => sum + candidate.activeRequests, 1);
    const bound = Math.ceil((loadFactor * active) / input.candidates.length);
    let best: Candidate | undefined;
    let bestRank = -1n;
    for (const candidate of input.candidates) {
      if (candidate.activeRequests + 1 > bound) continue;
      const rank = rankOf(candidate, bytes);
      if (rank > bestRank) [best, bestRank] = [candidate, rank];
    }
    return best ?? otherwise(input);
  };
}

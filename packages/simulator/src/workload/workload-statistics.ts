import { TRACE_BLOCK_TOKENS, type TraceRequest } from "./trace-request.ts";

export interface WorkloadStatistics {
  readonly requests: number;
  readonly durationMs: number;
  readonly meanInputTokens: number;
  readonly meanOutputTokens: number;
  readonly blocks: number;
  readonly distinctBlocks: number;
  /** Share of blocks that one cache without bound would hold: no policy can do better. */
  readonly ceilingHitRatio: number;
  /** The same in tokens. */
  readonly ceilingTokenHitRatio: number;
}

/** What there is in a workload, and how much of it a cache could at best reuse. */
export function workloadStatistics(requests: readonly TraceRequest[]): WorkloadStatistics {
  const seen = new Set<number>();
  let [blocks, hits, input, output, hitTokens] = [0, 0, 0, 0, 0];
  for (const request of requests) {
    let depth = 0;
    while (depth < request.blockIds.length && seen.has(request.blockIds[depth]!)) depth++;
    for (const id of request.blockIds) seen.add(id);
    blocks += request.blockIds.length;
    hits += depth;
    hitTokens += Math.min(request.inputTokens, depth * TRACE_BLOCK_TOKENS);
    input += request.inputTokens;
    output += request.outputTokens;
  }
  const count = Math.max(1, requests.length);
  return {
    requests: requests.length,
    durationMs: requests.length === 0 ? 0 : requests[requests.length - 1]!.atMs - requests[0]!.atMs,
    meanInputTokens: input / count,
    meanOutputTokens: output / count,
    blocks,
    distinctBlocks: seen.size,
    ceilingHitRatio: hits / Math.max(1, blocks),
    ceilingTokenHitRatio: hitTokens / Math.max(1, input),
  };
}

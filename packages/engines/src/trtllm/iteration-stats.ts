import type { EngineLoad } from "@stator/core";
import { parseMetricsText, samplesOf, sumOf } from "../server/metrics-text.ts";
import type { ServerClient } from "../server/http/server-client.ts";

/** The part of an iteration's statistics that we read. */
interface Iteration {
  readonly numActiveRequests?: number;
  readonly numQueuedRequests?: number;
  readonly maxNumActiveRequests?: number;
  readonly kvCacheStats?: {
    readonly maxNumBlocks?: number;
    readonly usedNumBlocks?: number;
    readonly tokensPerBlock?: number;
  };
}

/** TensorRT-LLM's statistics as one reader sees them: reading `/metrics` drains it, so what was read is kept. */
export interface IterationStats {
  /** Asks the server; what it said last is kept over empty answers. */
  refresh(client: ServerClient, signal: AbortSignal): Promise<void>;
  readonly last: Iteration | undefined;
  load(): EngineLoad;
}

/** Empty answers in a row after which an engine counts as idle: it makes no iterations then, and so no statistics. */
const idleAfterReads = 2;

export function createIterationStats(): IterationStats {
  let last: Iteration | undefined;
  let emptyReads = 0;
  let gauges: { readonly running: number; readonly waiting: number; readonly share: number } | undefined;

  return {
    get last() {
      return last;
    },
    async refresh(client, signal) {
      const answer = await client.getJson("/metrics", signal).catch((error: unknown) => {
        // Not enabled is no failure; a server that is gone is one.
        if ((error as { code?: string }).code === "ENGINES_SERVER_UNREACHABLE") throw error;
        return [];
      });
      const items = Array.isArray(answer) ? (answer as Iteration[]) : [];
      emptyReads = items.length === 0 ? emptyReads + 1 : 0;
      last = items.at(-1) ?? last;
      if (last !== undefined) return;
      const metrics = parseMetricsText(await client.getText("/prometheus/metrics", signal).catch(() => ""));
      if (!metrics.has("trtllm_num_requests_running")) return;
      gauges = {
        running: sumOf(metrics, "trtllm_num_requests_running") ?? 0,
        waiting: sumOf(metrics, "trtllm_num_requests_waiting") ?? 0,
        share: sumOf(metrics, "trtllm_kv_cache_utilization") ?? 0,
      };
      const tokensPerBlock = samplesOf(metrics, "trtllm_kv_cache_tokens_per_block")[0]?.value;
      if (tokensPerBlock !== undefined) last = { kvCacheStats: { tokensPerBlock } };
    },
    load() {
      const kv = last?.kvCacheStats;
      const isIdle = emptyReads >= idleAfterReads;
      const kvBlocksTotal = kv?.maxNumBlocks ?? 0;
      return {
        running: gauges?.running ?? (isIdle ? 0 : (last?.numActiveRequests ?? 0)),
        waiting: gauges?.waiting ?? (isIdle ? 0 : (last?.numQueuedRequests ?? 0)),
        queuedPrefillTokens: 0,
        kvBlocksUsed: kv?.usedNumBlocks ?? Math.round((gauges?.share ?? 0) * kvBlocksTotal),
        kvBlocksTotal,
      };
    },
  };
}

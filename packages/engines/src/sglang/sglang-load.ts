import type { EngineLoad } from "@stator/core";
import { parseMetricsText, samplesOf, type Exposition } from "../server/metrics-text.ts";
import type { ServerClient } from "../server/http/server-client.ts";
import type { ServerFacts, ServerLoad } from "../server/server-driver.ts";

/** Load from `/metrics` where the server has them, else from `/get_load` or `/v1/loads`. */
export async function sglangLoad(
  client: ServerClient,
  facts: ServerFacts,
  signal: AbortSignal,
): Promise<ServerLoad> {
  const metrics = parseMetricsText(await client.getText("/metrics", signal).catch(() => ""));
  if (metrics.has("sglang:num_running_reqs")) return fromMetrics(metrics, facts);
  const answer = await client.getJson("/get_load", signal).catch(() => client.getJson("/v1/loads", signal));
  const items = (Array.isArray(answer) ? answer : ((answer as { loads?: unknown[] }).loads ?? [])) as {
    num_reqs?: number;
    num_running_reqs?: number;
    num_waiting_reqs?: number;
    num_tokens?: number;
    num_used_tokens?: number;
  }[];
  const ranks = items.map((item): EngineLoad => {
    const waiting = item.num_waiting_reqs ?? 0;
    return {
      running: item.num_running_reqs ?? Math.max(0, (item.num_reqs ?? 0) - waiting),
      waiting,
      queuedPrefillTokens: 0,
      kvBlocksUsed: Math.ceil((item.num_used_tokens ?? item.num_tokens ?? 0) / facts.blockTokens),
      kvBlocksTotal: Math.floor(facts.kvBlocks / Math.max(1, items.length)),
    };
  });
  return summed(ranks);
}

const queues = [
  "sglang:num_queue_reqs",
  "sglang:num_prefill_bootstrap_queue_reqs",
  "sglang:num_decode_prealloc_queue_reqs",
];
const inFlight = [
  "sglang:num_running_reqs",
  "sglang:num_prefill_inflight_queue_reqs",
  "sglang:num_decode_transfer_queue_reqs",
];

function fromMetrics(metrics: Exposition, facts: ServerFacts): ServerLoad {
  const ranks = [...new Set(samplesOf(metrics, "sglang:num_running_reqs").map(rankOf))].sort((a, b) => a - b);
  const sum = (names: readonly string[], rank: number): number =>
    names.reduce((total, name) => total + valueOf(metrics, name, rank), 0);
  const perRank = Math.floor(facts.kvBlocks / Math.max(1, ranks.length));
  return summed(
    ranks.map((rank) => {
      const used = valueOf(metrics, "sglang:num_used_tokens", rank);
      const share = valueOf(metrics, "sglang:token_usage", rank);
      return {
        running: sum(inFlight, rank),
        waiting: sum(queues, rank),
        queuedPrefillTokens: 0,
        kvBlocksUsed: used > 0 ? Math.ceil(used / facts.blockTokens) : Math.round(share * perRank),
        kvBlocksTotal: perRank,
      };
    }),
  );
}

const rankOf = ({ labels }: { readonly labels: Readonly<Record<string, string>> }): number =>
  Number(labels["dp_rank"] ?? 0) || 0;

/** Every tensor- and pipeline-parallel rank reports the same gauge: the first one of a data-parallel rank counts. */
function valueOf(metrics: Exposition, name: string, rank: number): number {
  const samples = samplesOf(metrics, name).filter((sample) => rankOf(sample) === rank);
  const order = (labels: Readonly<Record<string, string>>): number =>
    (Number(labels["pp_rank"] ?? 0) || 0) * 65_536 + (Number(labels["tp_rank"] ?? 0) || 0);
  return samples.sort((a, b) => order(a.labels) - order(b.labels))[0]?.value ?? 0;
}

function summed(ranks: readonly EngineLoad[]): ServerLoad {
  const add = (key: keyof EngineLoad): number => ranks.reduce((total, load) => total + (load[key] ?? 0), 0);
  return {
    running: add("running"),
    waiting: add("waiting"),
    queuedPrefillTokens: add("queuedPrefillTokens"),
    kvBlocksUsed: add("kvBlocksUsed"),
    kvBlocksTotal: add("kvBlocksTotal"),
    ...(ranks.length > 1 ? { ranks } : {}),
  };
}

import { systemClock, type Clock } from "@stator/core";
import type { Interval, Workers } from "../decision/types.ts";
import { PlannerError } from "../planner-error.ts";
import { createCounterDeltas } from "./counter-deltas.ts";
import { fetchSamples } from "./fetch-samples.ts";
import type { Sample } from "./prometheus-text.ts";

/** Where the planner's observations come from. */
export interface ObservationSource {
  /** What happened since the last call; the first call begins the first interval. */
  read(signal: AbortSignal): Promise<Interval>;
}

export interface MetricsSourceOptions {
  /**
   * Addresses that answer in Prometheus' text format: `/metrics` of every frontend and worker, or `/federate?match[]=…`
   * of a Prometheus server. A function is asked before each read.
   */
  readonly urls: readonly string[] | (() => readonly string[] | Promise<readonly string[]>);
  /** Only series of this model. Default all. */
  readonly model?: string;
  /** Of TTFT and ITL, 50 to 99.9. Default 90. */
  readonly percentile?: number;
  /** Ready workers now. */
  readonly workers: () => Workers | Promise<Workers>;
  /** Longest wait for one address. Default 2,000 ms. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly fetch?: typeof globalThis.fetch;
}

const prefix = "stator_";

/**
 * Reads the serving metrics of all frontends and workers and adds them up. Counters that were reset, and frontends that
 * come and go, are accounted for; an address that does not answer is left out of that interval.
 */
export function createMetricsSource(options: MetricsSourceOptions): ObservationSource {
  const { clock = systemClock, percentile = 90, timeoutMs = 2000, fetch = globalThis.fetch } = options;
  const deltas = createCounterDeltas();
  let lastMs = clock.now();
  let lastActive = new Map<string, number>();

  const scrape = async (url: string, signal: AbortSignal): Promise<readonly Sample[]> => {
    const samples = await fetchSamples({ url, signal, timeoutMs, clock, fetch });
    return samples.filter(
      ({ name, labels }) =>
        name.startsWith(prefix) &&
        (options.model === undefined || labels["model"] === undefined || labels["model"] === options.model),
    );
  };

  return {
    async read(signal) {
      const urls = typeof options.urls === "function" ? await options.urls() : options.urls;
      const answers = await Promise.allSettled(urls.map((url) => scrape(url, signal)));
      signal.throwIfAborted();
      if (urls.length > 0 && answers.every(({ status }) => status === "rejected"))
        throw new PlannerError({
          code: "PLANNER_OBSERVATION_FAILED",
          kind: "unavailable",
          message: `No metrics could be read: ${String((answers[0] as PromiseRejectedResult).reason)}.`,
        });
      const grown: Sample[] = [];
      const gauges: Sample[] = [];
      const active = new Map<string, number>();
      let activeChange = 0;
      answers.forEach((answer, i) => {
        const url = urls[i]!;
        if (answer.status === "rejected") {
          active.set(url, lastActive.get(url) ?? 0);
          return;
        }
        gauges.push(...answer.value);
        grown.push(...deltas.read(url, answer.value));
        const now = sumOf(answer.value, "frontend_active_requests");
        activeChange += now - (lastActive.get(url) ?? 0);
        active.set(url, now);
      });
      lastActive = active;

      const nowMs = clock.now();
      const durationMs = Math.max(1, nowMs - lastMs);
      lastMs = nowMs;
      // Requests are counted when they end: those that arrived are these and what is more in flight.
      const requests = Math.max(0, sumOf(grown, "frontend_requests_total") + activeChange);
      const prompts = sumOf(grown, "frontend_input_sequence_tokens_count");
      const promptTokens = sumOf(grown, "frontend_input_sequence_tokens_sum");
      const outputs = sumOf(grown, "frontend_output_sequence_tokens_count");
      const cached = sumOf(grown, "frontend_cached_tokens_sum");
      const ttftMs = quantileMs(grown, "frontend_time_to_first_token_seconds", percentile);
      const itlMs = quantileMs(grown, "frontend_inter_token_latency_seconds", percentile);
      return {
        durationMs,
        requests,
        inputTokens: prompts === 0 ? 0 : promptTokens / prompts,
        outputTokens: outputs === 0 ? 0 : sumOf(grown, "frontend_output_sequence_tokens_sum") / outputs,
        prefixHitRatio: promptTokens === 0 ? 0 : Math.min(1, cached / promptTokens),
        ...(ttftMs === undefined ? {} : { ttftMs }),
        ...(itlMs === undefined ? {} : { itlMs }),
        workers: await options.workers(),
        queuedPrefillTokens: sumOf(gauges, "worker_queued_prefill_tokens"),
        kvUsage: Math.min(1, mostOf(gauges, "worker_kv_usage_ratio")),
      };
    },
  };
}

function sumOf(samples: readonly Sample[], name: string): number {
  let sum = 0;
  for (const sample of samples) if (sample.name === prefix + name) sum += sample.value;
  return sum;
}

function mostOf(samples: readonly Sample[], name: string): number {
  let most = 0;
  for (const sample of samples) if (sample.name === prefix + name) most = Math.max(most, sample.value);
  return most;
}

/** From the buckets of a histogram, linear within a bucket, as `histogram_quantile` does it. */
function quantileMs(samples: readonly Sample[], name: string, percentile: number): number | undefined {
  const buckets = new Map<number, number>();
  for (const sample of samples) {
    if (sample.name !== `${prefix}${name}_bucket`) continue;
    const edge = sample.labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(sample.labels["le"]);
    buckets.set(edge, (buckets.get(edge) ?? 0) + sample.value);
  }
  const edges = [...buckets.keys()].sort((a, b) => a - b);
  const total = buckets.get(Number.POSITIVE_INFINITY) ?? 0;
  if (total === 0) return undefined;
  const rank = (percentile / 100) * total;
  let below = 0;
  let from = 0;
  for (const edge of edges) {
    const count = buckets.get(edge)!;
    if (count >= rank) {
      if (!Number.isFinite(edge)) return from * 1000;
      const share = count === below ? 1 : (rank - below) / (count - below);
      return (from + (edge - from) * share) * 1000;
    }
    below = count;
    from = edge;
  }
  return from * 1000;
}

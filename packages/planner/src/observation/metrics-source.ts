import { silentLogger, systemClock, type Clock, type Logger } from "@stator/core";
import type { Interval, Workers } from "../decision/types.ts";
import { PlannerError } from "../planner-error.ts";
import { createCounterDeltas } from "./counter-deltas.ts";
import { fetchSamples } from "./fetch-samples.ts";
import type { Sample } from "./prometheus-text.ts";

/** Where the planner's observations come from. */
export interface ObservationSource {
  /** What happened since the last call; the first call begins the first interval. */
  read(signal: AbortSignal): Promise<Interval>;
  /**
   * Requests that arrived since the last call of either, where that can be told without ending the interval. Undefined
   * where it cannot be told this time.
   */
  arrived?(signal: AbortSignal): Promise<{ readonly requests: number; readonly ms: number } | undefined>;
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
  /** Hears of an address that stops answering and of one that answers again. */
  readonly logger?: Logger;
  readonly fetch?: typeof globalThis.fetch;
}

const prefix = "stator_";

/**
 * Reads the serving metrics of all frontends and workers and adds them up. Counters that were reset, and frontends that
 * come and go, are accounted for; an address that does not answer is left out of that interval.
 *
 * No traffic is data, but nothing said about traffic is not: `read` fails with `PLANNER_OBSERVATION_FAILED` where no
 * address answers, where none has a frontend's series, and where all series are of other models.
 */
export function createMetricsSource(options: MetricsSourceOptions): ObservationSource {
  const { clock = systemClock, percentile = 90, timeoutMs = 2000, fetch = globalThis.fetch } = options;
  const deltas = createCounterDeltas();
  let lastMs = clock.now();
  const { logger = silentLogger, model } = options;
  const silent = new Set<string>();
  let lastActive = new Map<string, number>();
  /** Requests that had come to each address at the last look. */
  const arrivals = new Map<string, number>();
  let lookedMs = lastMs;

  /** Requests are counted when they end: those that arrived are these and what is in flight. */
  const arrivedAt = (url: string, own: readonly Sample[]): number => {
    const now = sumOf(own, "frontend_requests_total") + sumOf(own, "frontend_active_requests");
    const before = arrivals.get(url) ?? now;
    arrivals.set(url, now);
    return now >= before ? now - before : now;
  };
  const ownOf = (samples: readonly Sample[]): readonly Sample[] =>
    model === undefined ? samples : ofModel(samples, model);

  const scrape = async (url: string, signal: AbortSignal): Promise<readonly Sample[]> => {
    try {
      const samples = await fetchSamples({ url, signal, timeoutMs, clock, fetch });
      if (silent.delete(url)) logger.info("metrics can be read again", { url });
      return samples.filter(({ name }) => name.startsWith(prefix));
    } catch (error) {
      if (!signal.aborted && !silent.has(url)) {
        silent.add(url);
        logger.warn("no metrics from here; its requests are not counted", { url, error: reasonOf(error) });
      }
      throw error;
    }
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
          message: `No metrics could be read from ${urls.join(", ")}: ${reasonOf((answers[0] as PromiseRejectedResult).reason)}. Is the frontend up, and are these the addresses of its /metrics?`,
        });
      const said = answers.map((answer) => (answer.status === "rejected" ? [] : answer.value));
      checkSaid(said.flat(), urls, model);
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
        const own = ownOf(answer.value);
        arrivedAt(url, own);
        gauges.push(...own);
        grown.push(...deltas.read(url, own));
        const now = sumOf(own, "frontend_active_requests");
        activeChange += now - (lastActive.get(url) ?? 0);
        active.set(url, now);
      });
      lastActive = active;

      const nowMs = clock.now();
      const durationMs = Math.max(1, nowMs - lastMs);
      lastMs = nowMs;
      lookedMs = nowMs;
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

    async arrived(signal) {
      const urls = typeof options.urls === "function" ? await options.urls() : options.urls;
      // A Prometheus server knows what it scraped last: seconds of requests would seem to come at once.
      if (urls.some((url) => new URL(url).pathname.endsWith("/federate"))) return undefined;
      const answers = await Promise.allSettled(urls.map((url) => scrape(url, signal)));
      signal.throwIfAborted();
      let requests = 0;
      answers.forEach((answer, i) => {
        if (answer.status === "fulfilled") requests += arrivedAt(urls[i]!, ownOf(answer.value));
      });
      const nowMs = clock.now();
      const ms = nowMs - lookedMs;
      lookedMs = nowMs;
      return answers.some(({ status }) => status === "rejected") ? undefined : { requests, ms };
    },
  };
}

/** A planner that took silence for idleness would send everybody home. */
function checkSaid(samples: readonly Sample[], urls: readonly string[], model: string | undefined): void {
  const fail = (message: string): never => {
    throw new PlannerError({ code: "PLANNER_OBSERVATION_FAILED", kind: "unavailable", message });
  };
  if (urls.length > 0 && !samples.some(({ name }) => name.startsWith(`${prefix}frontend_`)))
    fail(
      `${urls.join(", ")}: no ${prefix}frontend_ series there. Name the /metrics of the frontends, or for a Prometheus server that reads them http://HOST:9090/federate?match[]={__name__=~"${prefix}.*"}.`,
    );
  const models = new Set(samples.flatMap(({ labels }) => labels["model"] ?? []));
  if (model !== undefined && models.size > 0 && !models.has(model))
    fail(`No series of model "${model}" at ${urls.join(", ")}; there are: ${[...models].sort().join(", ")}.`);
}

/** Series of this model and of all models; of a worker's, also those that do not name the model themselves. */
function ofModel(samples: readonly Sample[], model: string): readonly Sample[] {
  const others = new Set<string>();
  for (const { labels } of samples)
    if (labels["worker"] !== undefined && labels["model"] !== undefined && labels["model"] !== model)
      others.add(labels["worker"]);
  return samples.filter(({ labels }) =>
    labels["model"] === undefined ? !others.has(labels["worker"] ?? "") : labels["model"] === model,
  );
}

/** `fetch` says "fetch failed" and keeps the reason to itself. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message} (${cause.message})` : error.message;
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

import { systemClock } from "@stator/core";
import { fetchSamples } from "./fetch-samples.ts";

export interface WorkerLoadsOptions {
  /** `/metrics` of the frontends, or `/federate?match[]=…` of a Prometheus server. */
  readonly urls: readonly string[];
  readonly signal: AbortSignal;
  /** Longest wait for one address. Default 2,000 ms. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Requests that each worker runs or keeps waiting, by its id, which is its pod's name where Kubernetes runs it. Frontends
 * see the same workers, so the largest count is taken. An address that does not answer is left out.
 */
export async function readWorkerLoads(options: WorkerLoadsOptions): Promise<ReadonlyMap<string, number>> {
  const { urls, signal, timeoutMs = 2000, fetch = globalThis.fetch } = options;
  const answers = await Promise.allSettled(
    urls.map((url) => fetchSamples({ url, signal, timeoutMs, clock: systemClock, fetch })),
  );
  signal.throwIfAborted();
  const loads = new Map<string, number>();
  for (const answer of answers) {
    if (answer.status === "rejected") continue;
    const own = new Map<string, number>();
    for (const { name, labels, value } of answer.value) {
      if (name !== "stator_worker_running_requests" && name !== "stator_worker_waiting_requests") continue;
      const worker = labels["worker"];
      if (worker !== undefined) own.set(worker, (own.get(worker) ?? 0) + value);
    }
    for (const [worker, load] of own) loads.set(worker, Math.max(load, loads.get(worker) ?? 0));
  }
  return loads;
}

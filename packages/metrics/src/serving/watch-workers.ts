import type {
  Counter,
  EngineStatus,
  Family,
  Gauge,
  Meter,
  WorkerHandle,
  WorkerSource,
  WorkerState,
} from "@stator/core";

/** Figures of workers, as this process sees them through their statuses and their health. */
export interface WorkerFamilies {
  readonly running: Family<Gauge, "worker" | "role" | "model">;
  readonly waiting: Family<Gauge, "worker" | "role" | "model">;
  readonly queuedPrefill: Family<Gauge, "worker" | "role">;
  readonly kvUsage: Family<Gauge, "worker" | "role" | "model">;
  readonly kvLeaked: Family<Gauge, "worker" | "role" | "model">;
  readonly cacheInfo: Family<Gauge, "worker" | "model" | "block_size" | "blocks">;
  readonly steps: Family<Counter, "worker">;
  readonly kvEvents: Family<Counter, "worker" | "type">;
  readonly kvGaps: Family<Counter, "worker">;
  readonly instances: Family<Gauge, "role" | "state">;
  readonly joined: Family<Counter, "role">;
  readonly left: Family<Counter, "role">;
  readonly ejections: Family<Counter, "role" | "cause">;
}

export function createWorkerFamilies(meter: Meter): WorkerFamilies {
  const who = ["worker", "role", "model"] as const;
  return {
    running: meter.gauge({
      name: "worker_running",
      unit: "requests",
      help: "Requests in a worker's batch.",
      labels: who,
    }),
    waiting: meter.gauge({
      name: "worker_waiting",
      unit: "requests",
      help: "Requests that a worker accepted and does not run yet.",
      labels: who,
    }),
    queuedPrefill: meter.gauge({
      name: "worker_queued_prefill",
      unit: "tokens",
      help: "Prompt tokens that a worker has still to compute.",
      labels: ["worker", "role"],
    }),
    kvUsage: meter.gauge({
      name: "worker_kv_usage",
      unit: "ratio",
      help: "Share of a worker's KV blocks in use.",
      labels: who,
    }),
    kvLeaked: meter.gauge({
      name: "worker_kv_leaked",
      unit: "blocks",
      help: "KV blocks that a worker's engine keeps for a decode that will not come.",
      labels: who,
    }),
    cacheInfo: meter.gauge({
      name: "worker_cache_info",
      help: "Always 1; a worker's KV block size in tokens and number of blocks.",
      labels: ["worker", "model", "block_size", "blocks"],
    }),
    steps: meter.counter({
      name: "worker_steps",
      help: "Engine steps that a worker finished.",
      labels: ["worker"],
    }),
    kvEvents: meter.counter({
      name: "kv_events",
      help: "KV events received from a worker, by type.",
      labels: ["worker", "type"],
    }),
    kvGaps: meter.counter({
      name: "kv_event_gap",
      help: "Jumps in a worker's KV event sequence.",
      labels: ["worker"],
    }),
    instances: meter.gauge({
      name: "registry_instances",
      help: "Workers known here, by role and health.",
      labels: ["role", "state"],
    }),
    joined: meter.counter({ name: "registry_joined", help: "Workers that appeared.", labels: ["role"] }),
    left: meter.counter({ name: "registry_left", help: "Workers that left.", labels: ["role"] }),
    ejections: meter.counter({
      name: "ejections",
      help: "Workers taken out of service, by what they became.",
      labels: ["role", "cause"],
    }),
  };
}

/** Follows every worker of `source` until the returned function is called. */
export function watchWorkers(families: WorkerFamilies, source: WorkerSource): () => void {
  const stops = new Map<WorkerHandle, () => void>();
  const add = (handle: WorkerHandle): void => {
    if (stops.has(handle)) return;
    families.joined.labels({ role: handle.worker.role }).add();
    stops.set(handle, follow(families, handle));
  };
  const remove = (handle: WorkerHandle): void => {
    const stop = stops.get(handle);
    if (stop === undefined) return;
    stops.delete(handle);
    families.left.labels({ role: handle.worker.role }).add();
    stop();
  };
  const stopSource = source.onChange((change) =>
    change.type === "joined" ? add(change.handle) : remove(change.handle),
  );
  for (const handle of source.current()) add(handle);
  return () => {
    stopSource();
    for (const handle of [...stops.keys()]) remove(handle);
  };
}

function follow(families: WorkerFamilies, handle: WorkerHandle): () => void {
  const { id, role, capacity } = handle.worker;
  const { model, blockTokens } = handle.card;
  const who = { worker: id, role, model };
  const info = { worker: id, model, block_size: String(blockTokens), blocks: String(capacity.kvBlocks) };
  families.cacheInfo.labels(info).set(1);
  const gauges = {
    running: families.running.labels(who),
    waiting: families.waiting.labels(who),
    queuedPrefill: families.queuedPrefill.labels({ worker: id, role }),
    kvUsage: families.kvUsage.labels(who),
    kvLeaked: families.kvLeaked.labels(who),
  };
  const steps = families.steps.labels({ worker: id });
  const gaps = families.kvGaps.labels({ worker: id });
  const sequences = new Map<string, bigint>();
  let lastStep: number | undefined;

  const onStatus = (status: EngineStatus): void => {
    const { load } = status;
    gauges.running.set(load.running);
    gauges.waiting.set(load.waiting);
    gauges.queuedPrefill.set(load.queuedPrefillTokens);
    if (load.kvBlocksTotal > 0) gauges.kvUsage.set(load.kvBlocksUsed / load.kvBlocksTotal);
    gauges.kvLeaked.set(load.kvBlocksLeaked ?? 0);
    if (lastStep !== undefined && status.step > lastStep) steps.add(status.step - lastStep);
    lastStep = status.step;
    for (const batch of status.events ?? []) {
      const before = sequences.get(batch.epoch);
      if (before !== undefined && batch.isSnapshot !== true && batch.sequence > before + 1n) gaps.add();
      sequences.clear();
      sequences.set(batch.epoch, batch.sequence);
      for (const event of batch.events) families.kvEvents.labels({ worker: id, type: event.type }).add();
    }
  };

  let state: WorkerState = handle.health.state;
  families.instances.labels({ role, state }).add(1);
  const onHealth = (next: WorkerState): void => {
    families.instances.labels({ role, state }).add(-1);
    families.instances.labels({ role, state: next }).add(1);
    if ((next === "ejected" || next === "dead") && state !== "ejected" && state !== "dead")
      families.ejections.labels({ role, cause: next }).add();
    state = next;
  };
  const stopHealth = handle.health.onChange(onHealth);
  const stopStatus = handle.engine.onStatus?.(onStatus);

  return () => {
    stopHealth();
    stopStatus?.();
    families.instances.labels({ role, state }).add(-1);
    families.cacheInfo.remove(info);
    families.running.remove(who);
    families.waiting.remove(who);
    families.queuedPrefill.remove({ worker: id, role });
    families.kvUsage.remove(who);
    families.kvLeaked.remove(who);
  };
}

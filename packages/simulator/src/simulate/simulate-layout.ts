import { createBlockNumbers } from "./engine/block-numbers.ts";
import { createEventQueue } from "./cluster/event-queue.ts";
import { createHistogram } from "./report/histogram.ts";
import { createLinks } from "./cluster/links.ts";
import { createRequestFlow } from "./cluster/request-flow.ts";
import { createScaledPools } from "./cluster/scaled-pools.ts";
import { servedModelOf, workerModelsOf } from "./engine/served-model.ts";
import { createSimulatedPool, type SimulatedPool } from "./cluster/simulated-pool.ts";
import type { SimulatedOutcome, Simulation, SimulationOptions } from "./simulation.ts";
import { simulatorError } from "../simulator-error.ts";
import { summarise } from "./report/summarise.ts";

const DEFAULT_KV_BYTES = 131_072;
const DEFAULT_LINK = 50e9;
const DEFAULT_DISAGGREGATE_ABOVE = 256;
const DEFAULT_STARTUP_MS = 60_000;
/** A planner that has waited so long for requests that never end is done. */
const MOST_STANDSTILL_MS = 3_600_000;

/**
 * Runs a workload through a layout in virtual time: continuous batching with chunked prefill, paged KV with prefix caches
 * and host tiers, the real selectors with their pools' policies, KV transfer over links that share bandwidth, and workers
 * that start, fail and drain. Equal options give equal results. Decode steps between two events are taken together, so a
 * minute of eight busy workers takes some tens of milliseconds.
 *
 * @throws SimulatorError `SIMULATOR_RUN_INVALID` for options that make no sense.
 */
export function simulateLayout(options: SimulationOptions): Simulation {
  const { blockTokens = 64, speedup = 1, workload, concurrency, layout } = options;
  const served = servedModelOf(layout, options.servedModel);
  check(options, blockTokens, speedup);
  const events = createEventQueue();
  const gaps = createHistogram();
  const blocks = createBlockNumbers(workload, blockTokens);
  const started = (poolName: string): number =>
    (options.changes ?? []).reduce(
      (sum, change) => sum + (change.type === "start" && change.pool === poolName ? (change.count ?? 1) : 0),
      0,
    );
  const pools = workerModelsOf(served, options.worker).map(({ poolName, pool, model }, i) =>
    createSimulatedPool({
      name: poolName,
      pool,
      model,
      events,
      blockTokens,
      gaps,
      blocks,
      mostWorkers: options.scaling === undefined ? pool.replicas + started(poolName) : Infinity,
      seed: (options.seed ?? 1) + i,
      eventDelayMs: options.eventDelayMs ?? 5,
    }),
  );
  const serving = pools.find((pool) => pool.role !== "prefill")!;
  const prefill = pools.find((pool) => pool.role === "prefill");
  const linkOf = new Map<string, number>();
  const transfers = createHistogram();
  let transferredBytes = 0;
  const links = createLinks(events, (end) => linkOf.get(end)!, options.transferLatencyMs ?? 1);
  const flow = createRequestFlow({
    events,
    links,
    serving,
    prefill,
    disaggregateAboveTokens: served.disaggregateAboveTokens ?? DEFAULT_DISAGGREGATE_ABOVE,
    failureDetectionMs: options.failureDetectionMs ?? 50,
    kvBytesPerToken: serving.model.kvBytesPerToken ?? DEFAULT_KV_BYTES,
    onFirstToken: (outcome) => scaled?.gotFirstToken(outcome),
    onTransfer(ms, bytes) {
      transfers.add(ms);
      transferredBytes += bytes;
    },
  });

  function start(pool: SimulatedPool): void {
    linkOf.set(pool.start().id, pool.model.linkBytesPerSecond ?? DEFAULT_LINK);
  }

  for (const pool of pools) {
    const { replicas } = served.pools[pool.name]!;
    for (let i = 0; i < replicas; i++) start(pool);
  }
  scheduleChanges();

  const outcomes: SimulatedOutcome[] = [];
  let arrived = 0;
  let ended = 0;
  let lastEndMs = 0;
  const scaled =
    options.scaling &&
    createScaledPools({
      events,
      scaling: options.scaling,
      serving,
      prefill,
      startupMs: options.startupMs ?? DEFAULT_STARTUP_MS,
      start(pool) {
        start(pool);
        flow.retry();
      },
      isBusy: () =>
        ended < workload.length &&
        (arrived < workload.length || events.now() - lastEndMs < MOST_STANDSTILL_MS),
    });

  function arrive(): void {
    const request = workload[arrived++];
    if (request === undefined) return;
    const outcome: SimulatedOutcome = {
      atMs: events.now(),
      inputTokens: request.inputTokens,
      outputTokens: Math.max(1, request.outputTokens),
      prefillWorker: "",
      worker: "",
      cachedTokens: 0,
      firstTokenMs: undefined,
      endMs: undefined,
      migrations: 0,
      isRejected: false,
    };
    outcomes.push(outcome);
    scaled?.arrived(request.inputTokens);
    if (concurrency === undefined) next();
    flow.start(request, blocks.number(request), outcome, () => {
      ended++;
      lastEndMs = events.now();
      if (!outcome.isRejected) scaled?.finished(outcome);
      if (concurrency !== undefined) events.at(events.now(), arrive);
    });
  }

  /** One arrival at a time in the queue: a trace of a million requests stays out of the heap. */
  function next(): void {
    const request = workload[arrived];
    if (request !== undefined) events.at(request.atMs / speedup, arrive);
  }

  function scheduleChanges(): void {
    for (const change of options.changes ?? []) {
      events.at(change.atMs, () => {
        if (change.type === "start") {
          const pool = pools.find((candidate) => candidate.name === change.pool)!;
          events.at(change.atMs + (options.startupMs ?? DEFAULT_STARTUP_MS), () => {
            for (let i = 0; i < (change.count ?? 1); i++) start(pool);
            flow.retry();
          });
          return;
        }
        const pool = pools.find((candidate) => candidate.workers.has(change.worker));
        if (pool === undefined)
          throw simulatorError(
            "SIMULATOR_RUN_INVALID",
            `At ${change.atMs} ms there is no worker "${change.worker}" to ${change.type}.`,
          );
        if (change.type === "drain") pool.drain(change.worker);
        else flow.failed(pool, change.worker);
      });
    }
  }

  if (concurrency === undefined) next();
  else for (let i = 0; i < concurrency; i++) events.at(0, arrive);
  const total = Math.max(1, workload.length);
  events.run(() => options.onProgress?.(ended / total) !== false);

  return summarise({
    outcomes,
    gaps,
    transfers,
    transferredBytes,
    pools,
    slo: options.slo ?? served.slo,
    scaling: scaled?.report(),
  });
}

function check(options: SimulationOptions, blockTokens: number, speedup: number): void {
  const problems: string[] = [];
  if (!Number.isInteger(512 / blockTokens))
    problems.push(`blockTokens is ${blockTokens}; it must divide 512`);
  if (!(speedup > 0)) problems.push(`speedup is ${speedup}; it must be above 0`);
  const { concurrency } = options;
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency > 0))
    problems.push(`concurrency is ${concurrency}; it must be a whole number of at least 1`);
  for (const change of options.changes ?? [])
    if (!(change.atMs >= 0)) problems.push(`a change is at ${change.atMs} ms; it must be at 0 or later`);
    else if (
      change.type === "start" &&
      !Object.values(options.layout.models).some((m) => m.pools[change.pool])
    )
      problems.push(`there is no pool "${change.pool}" to start workers of`);
  if (problems.length > 0) throw simulatorError("SIMULATOR_RUN_INVALID", `${problems.join("; ")}.`);
}

import {
  cancelled,
  createDeadlines,
  noopMeter,
  systemClock,
  wrapEngine,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type TokenBatch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { createCounts, type MigratingCounts } from "./counts.ts";
import { defaultAttempts, defaultMaxTrackedTokens, type MigratingOptions } from "./options.ts";
import { createQuarantine } from "./quarantine.ts";
import { createRetryBudget } from "./retry-budget.ts";
import { quarantined, runRequest, type Fleet } from "./run-request.ts";

export interface MigratingEngine extends Engine {
  readonly counts: MigratingCounts;
}

/**
 * An engine that survives the death of what is under it: each request's output is kept, and when its worker fails
 * another one goes on at the next index. The caller sees one stream without a seam.
 *
 * @throws RouterError from `generate`: `ROUTER_ATTEMPTS_EXHAUSTED`, `ROUTER_RESUME_UNSUPPORTED`, `ROUTER_NOT_MIGRATABLE`,
 *   `ROUTER_REQUEST_QUARANTINED`, `ROUTER_REQUEST_DEADLINE`; and what the inner engine throws for the caller's own faults.
 * @example
 * const engine = migrating(createPool({ workers: runtime.workers({ model: "tiny" }) }));
 */
export function migrating(inner: Engine, options: MigratingOptions = {}): MigratingEngine {
  const clock = options.clock ?? systemClock;
  const deadlines = createDeadlines(options.deadlines);
  const attempts = options.attempts ?? defaultAttempts;
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw routerError("ROUTER_OPTION_INVALID", `attempts is ${attempts}; give a whole number of at least 1.`);
  }
  const budget = createRetryBudget(options.retryBudget);
  const quarantine = createQuarantine({ clock, quarantineMs: deadlines.quarantineMs });
  const counts = createCounts(budget);
  const dropped = (options.meter ?? noopMeter)
    .counter({
      name: "duplicate_frames_dropped",
      help: "Batches of requests that were not the next ones and were dropped.",
    })
    .labels({});
  const fleet: Fleet = {
    inner,
    clock,
    random: options.random ?? Math.random,
    deadlines,
    attempts,
    maxTrackedTokens: options.maxTrackedTokens ?? defaultMaxTrackedTokens,
    budget,
    quarantine,
    counts,
    onDropped: () => dropped.add(),
  };

  const generate = (request: GenerateRequest, options: GenerateOptions): AsyncIterable<TokenBatch> => ({
    [Symbol.asyncIterator]() {
      if (options.signal.aborted) return failing(cancelled(options.signal));
      const blockedMs = quarantine.blockedForMs(request);
      if (blockedMs === undefined) return runRequest(fleet, request, options);
      counts.quarantined += 1;
      return failing(quarantined(request, attempts, blockedMs));
    },
  });

  return Object.defineProperty(wrapEngine(inner, { generate }), "counts", {
    value: counts,
    enumerable: true,
  }) as MigratingEngine;
}

function failing(error: Error): AsyncIterator<TokenBatch> {
  return { next: () => Promise.reject(error) };
}

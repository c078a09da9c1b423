import type { WorkloadOptions } from "../../target.ts";
import type { WorkerSpec } from "../predict.ts";
import type { Events } from "./events.ts";
import type { Rank } from "./rank.ts";
import type { Request } from "./request.ts";
import { cachedStepTime } from "./step-times.ts";

/** Prefill workers on one queue; each rank computes one prompt at a time and yields its first token at the end. */
export function createPrefillPool(
  worker: WorkerSpec,
  count: number,
  workload: WorkloadOptions,
  events: Events,
  prefilled: (request: Request, atMs: number) => void,
): Rank {
  const waiting: Request[] = [];
  let idle = count;
  const timeOf = cachedStepTime(worker);
  const pastTokens = workload.prefixTokens ?? 0;
  const { data } = worker.parallelism;
  const next = (): void => {
    while (idle > 0 && waiting.length > 0) {
      idle -= 1;
      // Ranks of one worker run in step: as many prompts at once as there are ranks.
      const together = waiting.splice(0, data);
      const ms = timeOf(Math.max(...together.map((request) => request.inputTokens)), 1, pastTokens, 0, 0);
      events.at(events.now() + ms, () => {
        for (const request of together) {
          request.prefilledTokens = request.inputTokens;
          request.producedTokens = 1;
          request.firstMs = events.now();
          prefilled(request, events.now());
        }
        idle += 1;
        next();
      });
    }
  };
  return {
    add(request) {
      waiting.push(request);
      if (idle > 0) events.at(events.now(), next);
    },
  };
}

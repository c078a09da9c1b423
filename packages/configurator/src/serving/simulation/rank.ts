import type { WorkloadOptions } from "../../target.ts";
import { defaultStepTokens } from "../predict.ts";
import type { WorkerSpec } from "../predict.ts";
import type { Events } from "./events.ts";
import type { Request } from "./request.ts";
import { cachedStepTime } from "./step-times.ts";

/** What requests are given to. */
export interface Rank {
  readonly add: (request: Request) => void;
}

/** One attention rank of an aggregated or decode worker: steps while it has work, prompts in chunks, decodes beside them. */
export function createRank(
  worker: WorkerSpec,
  workload: WorkloadOptions,
  events: Events,
  finished: (request: Request, atMs: number) => void,
): Rank {
  const waiting: Request[] = [];
  let running: Request[] = [];
  let isStepping = false;
  const pastTokens = workload.prefixTokens ?? 0;
  const timeOf = cachedStepTime(worker);
  const step = (): void => {
    isStepping = true;
    let budget = Math.max(0, defaultStepTokens - running.length);
    const chunks: { request: Request; tokens: number }[] = [];
    for (const request of waiting) {
      if (budget <= 0) break;
      const tokens = Math.min(budget, request.inputTokens - request.prefilledTokens);
      chunks.push({ request, tokens });
      budget -= tokens;
    }
    const prefillTokens = chunks.reduce((sum, chunk) => sum + chunk.tokens, 0);
    const held = running.reduce(
      (sum, request) => sum + pastTokens + request.inputTokens + request.producedTokens,
      0,
    );
    const ms = timeOf(
      prefillTokens,
      chunks.length,
      pastTokens,
      running.length,
      running.length === 0 ? 0 : held / running.length,
    );
    events.at(events.now() + ms, () => {
      const now = events.now();
      const still: Request[] = [];
      for (const request of running) {
        request.producedTokens += 1;
        if (request.producedTokens >= request.outputTokens) finished(request, now);
        else still.push(request);
      }
      running = still;
      for (const { request, tokens } of chunks) {
        request.prefilledTokens += tokens;
        if (request.prefilledTokens < request.inputTokens) continue;
        waiting.splice(waiting.indexOf(request), 1);
        request.producedTokens = 1;
        request.firstMs = now;
        if (request.outputTokens === 1) finished(request, now);
        else running.push(request);
      }
      if (running.length + waiting.length > 0) step();
      else isStepping = false;
    });
  };
  return {
    add(request) {
      if (request.firstMs > 0) running.push(request);
      else waiting.push(request);
      if (!isStepping) step();
    },
  };
}

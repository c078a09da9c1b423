import {
  Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { PlannerService, type SetTargetsRequest } from "@stator/contracts";
import { systemClock, type Clock } from "@stator/core";
import type { Planner, PlannerDecision, PlannerTargets } from "../control/create-planner.ts";
import { PlannerError } from "../planner-error.ts";
import { decisionMessage, targetsMessage } from "./planner-messages.ts";

export interface PlannerServiceOptions {
  readonly planner: Planner;
  /** The planner's own clock. Default: the machine's. */
  readonly clock?: Clock;
}

/** A planner served to other processes, or mounted in one's own. */
export interface PlannerServiceHandle {
  /** For `runtime.serveService(PlannerService, service.implementation)`. */
  readonly implementation: ServiceImpl<typeof PlannerService>;
  /** For `connectNodeAdapter({ routes })` and its like. */
  routes(router: ConnectRouter): void;
}

/** Decisions kept for a watcher that does not keep up; older ones are skipped, and counted to it. */
const keptForWatcher = 64;
const longestWaitMs = 60_000;

/** `PlannerService` of @stator/contracts over a planner. Closing the planner ends watches at their next decision only. */
export function createPlannerService(options: PlannerServiceOptions): PlannerServiceHandle {
  const { planner, clock = systemClock } = options;
  const message = (decision: PlannerDecision): ReturnType<typeof decisionMessage> =>
    decisionMessage(decision, Date.now() - (clock.now() - decision.atMs));

  const first = (waitMs: number, signal: AbortSignal): Promise<PlannerDecision | undefined> =>
    new Promise((resolve) => {
      const done = (decision?: PlannerDecision): void => {
        unsubscribe();
        timer.cancel();
        signal.removeEventListener("abort", abandon);
        resolve(decision);
      };
      const abandon = (): void => done();
      const unsubscribe = planner.subscribe(done);
      const timer = clock.schedule(Math.min(waitMs, longestWaitMs), abandon);
      signal.addEventListener("abort", abandon, { once: true });
    });

  const implementation: ServiceImpl<typeof PlannerService> = {
    async getPlan({ waitMs }, { signal }) {
      const decision = planner.decisions.at(-1) ?? (waitMs > 0 ? await first(waitMs, signal) : undefined);
      return {
        ...(decision === undefined ? {} : { decision: message(decision) }),
        targets: targetsMessage(planner),
      };
    },

    async *watchPlan({ changesOnly }, context: HandlerContext) {
      const { signal } = context;
      const pending: PlannerDecision[] = [];
      let skipped = 0;
      let wake: (() => void) | undefined;
      const add = (decision: PlannerDecision): void => {
        if (changesOnly && isSame(decision)) return;
        pending.push(decision);
        if (pending.length > keptForWatcher) {
          pending.shift();
          skipped += 1;
        }
        wake?.();
      };
      const newest = planner.decisions.at(-1);
      if (newest !== undefined) pending.push(newest);
      const unsubscribe = planner.subscribe(add);
      const end = (): void => wake?.();
      signal.addEventListener("abort", end, { once: true });
      try {
        while (!signal.aborted) {
          const decision = pending.shift();
          if (decision === undefined) {
            await new Promise<void>((resolve) => (wake = resolve));
            wake = undefined;
            continue;
          }
          const left = skipped;
          skipped = 0;
          yield { decision: message(decision), skipped: left };
        }
      } finally {
        unsubscribe();
        signal.removeEventListener("abort", end);
      }
    },

    setTargets(request) {
      try {
        planner.setTargets(changesOf(planner, request));
      } catch (error) {
        if (!PlannerError.isInstance(error)) throw error;
        throw new ConnectError(error.message, Code.InvalidArgument);
      }
      return { targets: targetsMessage(planner) };
    },
  };
  return { implementation, routes: (router) => void router.service(PlannerService, implementation) };
}

function isSame({ before, target }: PlannerDecision): boolean {
  return before.prefill === target.prefill && before.decode === target.decode;
}

function changesOf({ slo }: Planner, request: SetTargetsRequest): PlannerTargets {
  const { percentile = slo.percentile, gpus, minimum, maximum } = request;
  return {
    slo: {
      ttftMs: request.ttftMs ?? slo.ttftMs,
      itlMs: request.itlMs ?? slo.itlMs,
      ...(percentile === undefined ? {} : { percentile }),
    },
    limits: {
      ...(gpus === undefined ? {} : { gpus }),
      ...(minimum === undefined ? {} : { minimum: { prefill: minimum.prefill, decode: minimum.decode } }),
      ...(maximum === undefined ? {} : { maximum: { prefill: maximum.prefill, decode: maximum.decode } }),
    },
  };
}

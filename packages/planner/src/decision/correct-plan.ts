import type { Profile } from "../profile/profile.ts";
import { gpusPerWorkerOf } from "./budget.ts";
import { raise } from "./raise.ts";
import { react } from "./react.ts";
import type { Interval, Limits, LoadForecast, Slo, Workers } from "./types.ts";

/** A load that is expected to be below this share of itself at the horizon's end falls. */
const fallingShare = 0.9;

export interface CorrectPlanOptions {
  /** What is in force. */
  readonly before: Workers;
  /** What the last slow decision wanted. */
  readonly floor: Workers;
  /** The plan for the newest forecast. */
  readonly planned: Workers;
  readonly forecast: LoadForecast;
  /** The newest sample. */
  readonly observed: Interval;
  readonly profile: Profile;
  readonly slo: Slo;
  readonly limits: Limits;
  readonly startupMs: number;
}

/**
 * What to do between two slow decisions. It adds what the newest plan, queues and caches ask for. It takes away only on a
 * load that falls, where the plan's own rules (cool-down, margins) allow it and waiting for the next slow decision would
 * keep workers that no forecast asks for again.
 */
export function correctPlan(options: CorrectPlanOptions): Workers {
  const { before, floor, planned, forecast, observed, profile, slo, limits, startupMs } = options;
  const isFalling = (forecast.requestsPerSecondLater ?? Infinity) < fallingShare * forecast.requestsPerSecond;
  // Workers taken away since the last slow decision are not missed.
  const base = isFalling
    ? planned
    : { prefill: Math.min(floor.prefill, before.prefill), decode: Math.min(floor.decode, before.decode) };
  const raised = react(observed, base, profile, slo, limits, startupMs);
  const wish = {
    prefill: Math.max(planned.prefill, raised.prefill),
    decode: Math.max(planned.decode, raised.decode),
  };
  const least = isFalling
    ? { prefill: Math.min(before.prefill, wish.prefill), decode: Math.min(before.decode, wish.decode) }
    : before;
  return raise(least, wish, gpusPerWorkerOf(profile), limits);
}

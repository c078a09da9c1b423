import type { Profile } from "../profile/profile.ts";
import { monotoneCurve } from "../interpolation/monotone-curve.ts";
import { gpusPerWorkerOf } from "./budget.ts";
import { raise } from "./raise.ts";
import type { Interval, Limits, Slo, Workers } from "./types.ts";

/** KV usage of the fullest worker from which another decode worker is asked for. */
const kvPressure = 0.9;

/**
 * The fast loop: what queues and caches ask for right now, on top of the slow plan's floor. It only ever raises, to what
 * keeps up with arrivals and clears the queue in the time that a new worker needs to come (or within the TTFT objective,
 * if that is longer), and the next slow plan starts from its own numbers again: the two cannot fight. Within maximum and
 * budget.
 *
 * @param startupMs from the order of a worker until it serves; what the queue will be rid of before is no reason
 */
export function react(
  now: Interval,
  floor: Workers,
  profile: Profile,
  slo: Slo,
  limits: Limits,
  startupMs = 0,
): Workers {
  const curve = monotoneCurve(profile.prefill.points.map((point) => [point.inputTokens, point.ttftMs]));
  const inputTokens = Math.max(1, now.inputTokens);
  const msPerToken = curve.at(inputTokens).value / inputTokens;
  const backlogMs = (now.queuedPrefillTokens ?? 0) * msPerToken;
  const offered =
    (now.requests / Math.max(1, now.durationMs)) * inputTokens * (1 - now.prefixHitRatio) * msPerToken;
  const withinMs = Math.max(startupMs, slo.ttftMs - curve.at(inputTokens).value, 1);
  const toClear = backlogMs > slo.ttftMs ? Math.ceil(offered + backlogMs / withinMs) : 0;
  const isAggregated = limits.graph === "aggregated";
  const moreDecode = (now.kvUsage ?? 0) > kvPressure ? 1 : 0;

  const wish = {
    prefill: isAggregated ? 0 : Math.max(floor.prefill, Math.min(toClear, floor.prefill * 2 + 1)),
    decode: Math.max(floor.decode + moreDecode, isAggregated ? Math.min(toClear, floor.decode * 2 + 1) : 0),
  };
  return raise(floor, wish, gpusPerWorkerOf(profile), limits);
}

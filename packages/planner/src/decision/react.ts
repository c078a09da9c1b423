import type { Profile } from "../profile/profile.ts";
import { monotoneCurve } from "../interpolation/monotone-curve.ts";
import type { Interval, Limits, Slo, Workers } from "./types.ts";

/** KV usage of the fullest worker from which another decode worker is asked for. */
const kvPressure = 0.9;

/**
 * The fast loop: what queues and caches ask for right now, on top of the slow plan's floor. It only ever raises, by what
 * clears the queue within the TTFT objective, and the next slow plan starts from its own numbers again: the two cannot
 * fight. Within maximum and budget.
 */
export function react(now: Interval, floor: Workers, profile: Profile, slo: Slo, limits: Limits): Workers {
  const curve = monotoneCurve(profile.prefill.points.map((point) => [point.inputTokens, point.ttftMs]));
  const inputTokens = Math.max(1, now.inputTokens);
  const msPerToken = curve.at(inputTokens).value / inputTokens;
  const queued = now.queuedPrefillTokens ?? 0;
  const toClear = Math.ceil((queued * msPerToken) / Math.max(1, slo.ttftMs - curve.at(inputTokens).value));
  const isAggregated = limits.graph === "aggregated";
  const moreDecode = (now.kvUsage ?? 0) > kvPressure ? 1 : 0;

  const wish = {
    prefill: isAggregated ? 0 : Math.max(floor.prefill, Math.min(toClear, floor.prefill * 2 + 1)),
    decode: Math.max(floor.decode + moreDecode, isAggregated ? Math.min(toClear, floor.decode * 2 + 1) : 0),
  };
  const gpus = { prefill: profile.prefill.gpusPerWorker, decode: profile.decode.gpusPerWorker };
  let decode = Math.min(wish.decode, limits.maximum?.decode ?? Number.POSITIVE_INFINITY);
  let prefill = Math.min(wish.prefill, limits.maximum?.prefill ?? Number.POSITIVE_INFINITY);
  while (
    prefill * gpus.prefill + decode * gpus.decode > limits.gpus &&
    (prefill > floor.prefill || decode > floor.decode)
  ) {
    if (prefill > floor.prefill) prefill -= 1;
    else decode -= 1;
  }
  return { prefill, decode };
}

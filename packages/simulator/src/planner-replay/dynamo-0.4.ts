import { arimaForecaster, itlSurface, monotoneCurve, type Interval, type Workers } from "@stator/planner";
import type { ScalingStrategy } from "../scaling/scaling-strategy.ts";
import type { StrategyOptions } from "./strategies.ts";

/** Values the predictor may see; Dynamo's default. */
const windowSteps = 50;

/**
 * The SLA planner of Dynamo 0.4 for comparison, formula by formula: `planner_core.py` of that release. Means instead of
 * percentiles, no TTFT target in the prefill formula, no look ahead beyond one interval, rounds without traffic skipped,
 * decode throughput from the highest KV usage whose ITL fits. Its budget rounding is kept, cut to the budget.
 */
export function dynamo04(options: StrategyOptions): ScalingStrategy {
  const { profile, slo, limits } = options;
  const prefill = monotoneCurve(profile.prefill.points.map((point) => [point.inputTokens, point.ttftMs]));
  const surface = itlSurface(profile.decode.points);
  const gpus = { prefill: profile.prefill.gpusPerWorker, decode: profile.decode.gpusPerWorker };
  const arima = arimaForecaster();

  const next = (intervals: readonly Interval[], value: (interval: Interval) => number): number => {
    const series = intervals.map(value).slice(-windowSteps);
    if (series.length < 5 || series.length < arima.minimumPoints) return series[series.length - 1] ?? 0;
    return arima.forecast(series, { horizonSteps: 1 }).mean[0]!;
  };

  return {
    decide({ intervals, target }): Workers {
      const last = intervals[intervals.length - 1];
      if (last === undefined || last.requests === 0 || last.ttftMs === undefined || last.itlMs === undefined)
        return target;
      const used = intervals.filter((interval) => interval.requests > 0);
      const seconds = last.durationMs / 1000;
      const context = last.inputTokens + last.outputTokens / 2;
      const requestSeconds = (last.ttftMs + last.itlMs * last.outputTokens) / 1000;
      const concurrency = (last.requests / Math.max(1, last.workers.decode)) * (requestSeconds / seconds);
      const itlOf = (sequences: number): number =>
        surface.at((sequences * context) / profile.decode.maxKvTokens, context).value;
      const prefillCorrection = last.ttftMs / prefill.at(last.inputTokens).value;
      const decodeCorrection = last.itlMs / itlOf(concurrency);

      const requests = next(used, (interval) => interval.requests);
      const inputTokens = next(used, (interval) => interval.inputTokens);
      const outputTokens = next(used, (interval) => interval.outputTokens);
      const prefillTokens = ((requests * inputTokens) / seconds) * Math.min(1, prefillCorrection);
      const perPrefillGpu = ((inputTokens / prefill.at(inputTokens).value) * 1000) / gpus.prefill;
      const wish = Math.ceil(prefillTokens / perPrefillGpu / gpus.prefill);

      const itlTarget = decodeCorrection > 0 ? slo.itlMs / decodeCorrection : slo.itlMs;
      const futureContext = inputTokens + outputTokens / 2;
      const usage = Math.max(0.01, surface.largestKvUsage(itlTarget, futureContext) ?? 0);
      const sequences = (usage * profile.decode.maxKvTokens) / futureContext;
      const perDecodeGpu = ((sequences / surface.at(usage, futureContext).value) * 1000) / gpus.decode;
      const decode = Math.ceil((requests * outputTokens) / seconds / perDecodeGpu / gpus.decode);

      let p = Math.max(1, wish);
      let d = Math.max(1, decode);
      const total = p * gpus.prefill + d * gpus.decode;
      if (total > limits.gpus) {
        p = Math.max(1, Math.round((p * limits.gpus) / total));
        d = Math.max(1, Math.floor((limits.gpus - p * gpus.prefill) / gpus.decode));
      }
      return limits.graph === "aggregated"
        ? { prefill: 0, decode: Math.max(p, d) }
        : { prefill: p, decode: d };
    },
  };
}

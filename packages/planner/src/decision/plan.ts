import type { Profile } from "../profile/profile.ts";
import { splitBudget } from "./budget.ts";
import { createCapacityModel, type CapacityModel, type Load } from "./capacity.ts";
import { learnCorrections } from "./corrections.ts";
import type { Limits, LoadForecast, Observations, Plan, Reason, Slo, Workers } from "./types.ts";

/** Default share of requests, in per cent, that should keep the SLO. */
export const defaultPercentile = 90;
const defaultCoolDownMs = 30_000;
const defaultDownMargin = 1.05;
const unattainableSlack = 1.25;

/**
 * How many prefill and decode workers the forecast load needs to keep the SLO: pure, without a clock, the same in
 * production, simulation and replay.
 *
 * The smallest number whose predicted TTFT (Erlang C wait plus own prefill) and ITL (Little's law on the profile's
 * surface) keep the SLO at its percentile. Up at once; down one role at a time only after a cool-down, when nothing is
 * starting, and when the smaller number could serve `downMargin` times the load of the horizon's end. Never above the GPU budget; zero
 * traffic leads to the minimum.
 */
export function plan(
  observations: Observations,
  forecast: LoadForecast,
  profile: Profile,
  slo: Slo,
  limits: Limits,
): Plan {
  const reasons: Reason[] = [];
  const share = (slo.percentile ?? defaultPercentile) / 100;
  const corrections = learnCorrections(observations.intervals, profile, slo, limits);
  const model = createCapacityModel(profile, limits.graph, share, corrections);
  const load = toLoad(forecast);
  const isAggregated = limits.graph === "aggregated";
  const bounds = boundsOf(limits, profile);

  if (Math.abs(corrections.ttft - 1) > 0.1)
    reasons.push(note("prefill", "correction", `TTFT is ${corrections.ttft.toFixed(2)} × the profile's`));
  if (Math.abs(corrections.itl - 1) > 0.1)
    reasons.push(note("decode", "correction", `ITL is ${corrections.itl.toFixed(2)} × the profile's`));

  // An SLO below what one request takes on an idle worker is out of reach of any number: aim near that floor instead.
  const idle = times(load, 0);
  const ttftMs = Math.max(slo.ttftMs, unattainableSlack * model.ttft(1, idle).ms);
  const itlMs = Math.max(slo.itlMs, unattainableSlack * model.itl(1, idle).ms);
  const need = (scaled: Load): Workers =>
    isAggregated
      ? {
          prefill: 0,
          decode: fewest(
            bounds.maximum.decode,
            (n) => model.ttft(n, scaled).ms <= ttftMs && model.itl(n, scaled).ms <= itlMs,
          ),
        }
      : {
          prefill: fewest(bounds.maximum.prefill, (n) => model.ttft(n, scaled).ms <= ttftMs),
          decode: fewest(bounds.maximum.decode, (n) => model.itl(n, scaled).ms <= itlMs),
        };
  const isIdle = load.requestsPerSecond <= 0;
  const wanted = isIdle ? bounds.minimum : clampWorkers(need(load), bounds.minimum, bounds.maximum);
  const cautious = isIdle
    ? bounds.minimum
    : clampWorkers(need(cautiousLoad(load, forecast, limits)), bounds.minimum, bounds.maximum);

  const settled: Workers = {
    prefill: isAggregated
      ? 0
      : settle("prefill", wanted.prefill, cautious.prefill, observations, limits, reasons),
    decode: settle("decode", wanted.decode, cautious.decode, observations, limits, reasons),
  };
  const fitted = splitBudget(clampWorkers(settled, bounds.minimum, bounds.maximum), bounds, profile, limits);
  for (const role of ["prefill", "decode"] as const) {
    if (isAggregated && role === "prefill") continue;
    if (fitted[role] < settled[role])
      reasons.push(
        note(role, "budget", `${settled[role]} wanted, ${fitted[role]} fit into ${limits.gpus} GPUs`),
      );
    else if (isIdle) reasons.push(note(role, "idle", "no load is expected"));
    else if (fitted[role] === bounds.minimum[role])
      reasons.push(note(role, "minimum", `the minimum of ${bounds.minimum[role]} suffices`));
    else
      reasons.push(
        note(
          role,
          "slo",
          `${fitted[role]} for ${load.requestsPerSecond.toFixed(2)} requests/s of ${Math.round(load.uncachedTokens)} uncached and ${Math.round(load.outputTokens)} output tokens`,
        ),
      );
  }

  const ttftWorkers = isAggregated ? fitted.decode : fitted.prefill;
  const ttft = model.ttft(ttftWorkers, load);
  const itl = model.itl(fitted.decode, load);
  if (!isIdle && ttft.isClamped)
    reasons.push(
      note(
        "prefill",
        "outsideProfile",
        `${Math.round(load.uncachedTokens)} tokens are outside of the profile`,
      ),
    );
  if (!isIdle && itl.isClamped)
    reasons.push(note("decode", "outsideProfile", "the load is outside of the profile"));
  if (ttft.ms > slo.ttftMs)
    reasons.push(
      note("prefill", "unattainable", `TTFT of ${format(ttft.ms)} is predicted against ${slo.ttftMs} ms`),
    );
  if (itl.ms > slo.itlMs)
    reasons.push(
      note("decode", "unattainable", `ITL of ${format(itl.ms)} is predicted against ${slo.itlMs} ms`),
    );

  return {
    ...fitted,
    reasons,
    predictedTtftMs: isIdle
      ? model.ttft(Math.max(1, ttftWorkers), { ...load, requestsPerSecond: 0 }).ms
      : ttft.ms,
    predictedItlMs: itl.ms,
    headroom: headroom(model, fitted, load, slo, isAggregated),
  };
}

function toLoad(forecast: LoadForecast): Load {
  const rate = Math.max(0, forecast.requestsPerSecond, forecast.requestsPerSecondUpper);
  const hit = Math.min(0.95, Math.max(0, forecast.prefixHitRatio));
  return {
    requestsPerSecond: Number.isFinite(rate) ? rate : 0,
    uncachedTokens: Math.max(1, forecast.inputTokens * (1 - hit)),
    inputTokens: Math.max(1, forecast.inputTokens),
    outputTokens: Math.max(1, forecast.outputTokens),
  };
}

function times(load: Load, factor: number): Load {
  return { ...load, requestsPerSecond: load.requestsPerSecond * factor };
}

/**
 * The load that fewer workers must serve: the margin is against a load that stays and whose estimate wavers. Where the
 * forecast falls by more than the margin until a worker could be back, nothing would ask for it again.
 */
function cautiousLoad(load: Load, forecast: LoadForecast, limits: Limits): Load {
  const now = load.requestsPerSecond;
  const later = Math.min(now, Math.max(0, forecast.requestsPerSecondLater ?? now));
  return {
    ...load,
    requestsPerSecond: Math.max(now, (limits.downMargin ?? defaultDownMargin) * later),
  };
}

interface Bounds {
  readonly minimum: Workers;
  readonly maximum: Workers;
}

function boundsOf(limits: Limits, profile: Profile): Bounds {
  const isAggregated = limits.graph === "aggregated";
  const minimum = limits.minimum ?? { prefill: isAggregated ? 0 : 1, decode: 1 };
  const affordable = {
    prefill: isAggregated ? 0 : Math.floor(limits.gpus / profile.prefill.gpusPerWorker),
    decode: Math.floor(limits.gpus / profile.decode.gpusPerWorker),
  };
  const maximum = {
    prefill: Math.min(affordable.prefill, limits.maximum?.prefill ?? affordable.prefill),
    decode: Math.min(affordable.decode, limits.maximum?.decode ?? affordable.decode),
  };
  return { minimum, maximum };
}

function clampWorkers(workers: Workers, minimum: Workers, maximum: Workers): Workers {
  return {
    prefill: Math.max(minimum.prefill, Math.min(maximum.prefill, workers.prefill)),
    decode: Math.max(minimum.decode, Math.min(maximum.decode, workers.decode)),
  };
}

/** The fewest from 1 that keep it; the most there may be when none does. Keeping it must be monotone. */
function fewest(maximum: number, keeps: (workers: number) => boolean): number {
  let low = 0;
  let high = maximum;
  if (high < 1 || !keeps(high)) return maximum;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (keeps(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function settle(
  role: "prefill" | "decode",
  wanted: number,
  cautious: number,
  observations: Observations,
  limits: Limits,
  reasons: Reason[],
): number {
  const now = observations.target[role];
  if (wanted >= now) return wanted;
  const starting = now - observations.ready[role] - (observations.stuck?.[role] ?? 0);
  if (starting > 0) {
    reasons.push(note(role, "held:starting", `${starting} still starting`));
    return now;
  }
  if (observations.sinceChangeMs[role] < (limits.coolDownMs ?? defaultCoolDownMs)) {
    reasons.push(
      note(role, "held:coolDown", `changed ${Math.round(observations.sinceChangeMs[role] / 1000)} s ago`),
    );
    return now;
  }
  if (cautious >= now) {
    reasons.push(
      note(role, "held:hysteresis", `${wanted} would suffice now, but not for a little more load`),
    );
    return now;
  }
  return Math.max(wanted, cautious);
}

function headroom(
  model: CapacityModel,
  workers: Workers,
  load: Load,
  slo: Slo,
  isAggregated: boolean,
): number {
  const keeps = (factor: number): boolean =>
    model.ttft(isAggregated ? workers.decode : workers.prefill, times(load, factor)).ms <= slo.ttftMs &&
    model.itl(workers.decode, times(load, factor)).ms <= slo.itlMs;
  if (load.requestsPerSecond <= 0) return 100;
  let low = 0;
  let high = 100;
  for (let i = 0; i < 24; i++) {
    const middle = (low + high) / 2;
    if (keeps(middle)) low = middle;
    else high = middle;
  }
  return Math.round(low * 100) / 100;
}

function note(role: Reason["role"], code: Reason["code"], message: string): Reason {
  return { role, code, message };
}

function format(ms: number): string {
  return Number.isFinite(ms) ? `${ms.toFixed(1)} ms` : "more than the workers can serve";
}

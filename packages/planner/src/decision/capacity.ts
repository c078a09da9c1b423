import { normalQuantile } from "../forecast/forecasters/forecaster.ts";
import { itlSurface, type ItlSurface } from "../interpolation/itl-surface.ts";
import { monotoneCurve, type MonotoneCurve } from "../interpolation/monotone-curve.ts";
import type { Profile } from "../profile/profile.ts";
import { waitQuantileMs } from "./queueing.ts";

/** A load, as the capacity model takes it. */
export interface Load {
  readonly requestsPerSecond: number;
  /** Prompt tokens to compute, cached ones left out. */
  readonly uncachedTokens: number;
  /** Prompt tokens, cached ones included. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A predicted latency, and whether the profile was left to get it. */
export interface Prediction {
  readonly ms: number;
  readonly isClamped: boolean;
}

/** Predicts latencies of a number of workers under a load; all that `plan` knows of physics. */
export interface CapacityModel {
  ttft(workers: number, load: Load): Prediction;
  itl(workers: number, load: Load): Prediction;
}

/** Learned ratios of observed to predicted latency; 1 is a perfect profile. */
export interface Corrections {
  /** Of a prompt's own prefill time. */
  readonly ttft: number;
  /** Of the time it waits for a worker. */
  readonly wait: number;
  readonly itl: number;
}

/** Nothing learned yet. */
export const noCorrections: Corrections = { ttft: 1, wait: 1, itl: 1 };

/** Prompts vary in length: squared coefficient of variation of prefill times that is assumed. */
const serviceVariation = 0.25;
/** Beyond it the fixed point is about to vanish; bounds the variance, so that predictions stay finite. */
const mostElasticity = 0.9;
/** Above this the cache thrashes: sequences are preempted. */
const kvCeiling = 0.95;

/**
 * @param graph aggregated workers interleave prefill with decode, so each slows the other by its share of the time
 * @param share of requests the prediction is for, 0 to 1
 */
export function createCapacityModel(
  profile: Profile,
  graph: "disaggregated" | "aggregated",
  share: number,
  corrections: Corrections,
): CapacityModel {
  const prefill: MonotoneCurve = monotoneCurve(
    profile.prefill.points.map((point) => [point.inputTokens, point.ttftMs]),
  );
  const surface: ItlSurface = itlSurface(profile.decode.points);
  const spread = Math.max(0, normalQuantile(share));

  const prefillMs = (load: Load): Prediction => {
    const reading = prefill.at(load.uncachedTokens);
    // Beyond the last point attention makes time grow faster than tokens; in proportion is the floor of that.
    const beyond = load.uncachedTokens > prefill.to ? load.uncachedTokens / prefill.to : 1;
    return { ms: reading.value * beyond * corrections.ttft, isClamped: reading.isClamped };
  };
  const busyShare = (workers: number, load: Load): number =>
    graph === "aggregated" ? (load.requestsPerSecond * prefillMs(load).ms) / 1000 / workers : 0;

  const itl = (workers: number, load: Load): Prediction => {
    const context = load.inputTokens + load.outputTokens / 2;
    const busy = busyShare(workers, load);
    if (workers === 0 || busy >= 1) return { ms: Number.POSITIVE_INFINITY, isClamped: false };
    const usageOf = (concurrency: number): number => (concurrency * context) / profile.decode.maxKvTokens;
    const itlOf = (concurrency: number): number =>
      (surface.at(Math.min(1, usageOf(concurrency)), context).value * corrections.itl) / (1 - busy);
    const perWorker = load.requestsPerSecond / workers;
    // Little's law: concurrency = rate × output tokens × time between tokens, which grows with concurrency. From below
    // the iteration climbs to the smallest fixed point, the stable one, or past what the cache holds.
    const ceiling = (kvCeiling * profile.decode.maxKvTokens) / context;
    let concurrency = 0;
    for (let i = 0; i < 200; i++) {
      const next = (perWorker * load.outputTokens * itlOf(concurrency)) / 1000;
      if (next > ceiling) return { ms: Number.POSITIVE_INFINITY, isClamped: false };
      if (Math.abs(next - concurrency) < 1e-6 * (1 + next)) break;
      concurrency = next;
    }
    // A fuller batch is slower and so fuller still: Poisson's variance grows by the elasticity of the time between tokens.
    const total = concurrency * workers;
    const step = Math.max(0.5, concurrency * 0.05);
    const slope = (itlOf(concurrency + step) - itlOf(concurrency)) / step;
    const elasticity = Math.min(mostElasticity, (concurrency * slope) / itlOf(concurrency));
    const crowded = (total + spread * Math.sqrt(total / (1 - elasticity))) / workers;
    if (crowded > ceiling) return { ms: Number.POSITIVE_INFINITY, isClamped: false };
    return {
      ms: itlOf(crowded),
      isClamped: load.requestsPerSecond > 0 && surface.at(usageOf(crowded), context).isClamped,
    };
  };

  const ttft = (workers: number, load: Load): Prediction => {
    const own = prefillMs(load);
    const wait = waitQuantileMs(workers, load.requestsPerSecond, own.ms, serviceVariation, share);
    return { ms: own.ms + wait * corrections.wait, isClamped: own.isClamped };
  };

  return { ttft, itl };
}

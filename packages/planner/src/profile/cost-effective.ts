import type { Slo } from "../decision/types.ts";
import { itlSurface } from "../interpolation/itl-surface.ts";
import { monotoneCurve } from "../interpolation/monotone-curve.ts";
import type { Profile } from "./profile.ts";

/** One way to run a worker: an engine's settings, and what they were measured or modelled to do. */
export interface WorkerCandidate {
  /** Such as `tensor 2`. */
  readonly name: string;
  readonly profile: Profile;
}

/** What one candidate does for the load within the objectives. */
export interface CandidateThroughput {
  readonly name: string;
  /** GPUs of one worker. */
  readonly gpus: number;
  /** Of one request on an idle worker (prefill), or between tokens at that throughput (decode), in milliseconds. */
  readonly latencyMs: number;
  /** Prompt tokens (prefill) or output tokens (decode) per second and GPU within the objective; 0 when it cannot keep it. */
  readonly tokensPerSecondPerGpu: number;
  /** Sequences at once within the objective; of prefill always 1. */
  readonly concurrency: number;
}

/** Candidates of each role, the most cost-effective first. The first keeps the objective if any does, else it is the fastest. */
export interface WorkerSuggestion {
  readonly prefill: readonly CandidateThroughput[];
  readonly decode: readonly CandidateThroughput[];
}

/**
 * The engine configuration that does most per GPU within the objectives, for each role by itself, as disaggregated graphs
 * allow. TTFT is that of one prompt alone: queueing is what more workers are for.
 *
 * @param load mean lengths of prompts and answers
 */
export function costEffectiveWorkers(
  candidates: readonly WorkerCandidate[],
  slo: Slo,
  load: { readonly inputTokens: number; readonly outputTokens: number },
): WorkerSuggestion {
  const prefill = candidates.map(({ name, profile }): CandidateThroughput => {
    const { gpusPerWorker: gpus, points } = profile.prefill;
    const curve = monotoneCurve(points.map((point) => [point.inputTokens, point.ttftMs]));
    const latencyMs = curve.at(load.inputTokens).value * Math.max(1, load.inputTokens / curve.to);
    const perGpu = (load.inputTokens / latencyMs / gpus) * 1000;
    return {
      name,
      gpus,
      latencyMs,
      tokensPerSecondPerGpu: latencyMs <= slo.ttftMs ? perGpu : 0,
      concurrency: 1,
    };
  });
  const context = load.inputTokens + load.outputTokens / 2;
  const decode = candidates.map(({ name, profile }): CandidateThroughput => {
    const { gpusPerWorker: gpus, points, maxKvTokens } = profile.decode;
    const surface = itlSurface(points);
    const usage = surface.largestKvUsage(slo.itlMs, context);
    const concurrency = usage === undefined ? 0 : Math.floor((usage * maxKvTokens) / context);
    const latencyMs = surface.at((Math.max(1, concurrency) * context) / maxKvTokens, context).value;
    return {
      name,
      gpus,
      latencyMs,
      tokensPerSecondPerGpu: (concurrency / latencyMs / gpus) * 1000,
      concurrency,
    };
  });
  return { prefill: prefill.sort(bestFirst), decode: decode.sort(bestFirst) };
}

function bestFirst(a: CandidateThroughput, b: CandidateThroughput): number {
  return b.tokensPerSecondPerGpu - a.tokensPerSecondPerGpu || a.latencyMs - b.latencyMs || a.gpus - b.gpus;
}

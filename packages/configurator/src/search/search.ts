import type { Layout } from "@stator/core";
import { layoutOf } from "../generate/layout.ts";
import type { Simulated } from "../serving/simulate.ts";
import { simulateCandidate } from "../serving/simulate.ts";
import { errorBands } from "../serving/error-bands.ts";
import { configuratorError } from "../configurator-error.ts";
import type { Target, TargetOptions, WorkloadOptions } from "../target.ts";
import { checkPositive, checkWorkload, resolveTarget } from "../target.ts";
import { aggregatedCandidates, workerPoints } from "./aggregated.ts";
import type { Candidate, Limits } from "./candidate.ts";
import { meets } from "./candidate.ts";
import { disaggregatedCandidates } from "./disaggregated.ts";
import { paretoFront } from "./pareto.ts";
import { reasonFor } from "./reason.ts";
import { doesNotFit, feasibleSplits } from "./splits.ts";

export interface SearchOptions extends TargetOptions, WorkloadOptions {
  /** The whole GPU budget. */
  readonly gpus: number;
  /** Longest acceptable mean time to first token in ms. Default 2000. */
  readonly ttftMs?: number;
  /** Longest acceptable mean time per output token in ms. Default 30. */
  readonly tpotMs?: number;
  /** Longest acceptable whole request in ms; replaces both defaults when given alone. */
  readonly requestMs?: number;
  /** Layouts to return. Default 5. */
  readonly top?: number;
  /** How many of the best are run through the event simulation, for percentiles and as a second opinion. Default 1. */
  readonly confirm?: number;
  /** Which kinds to search. Default both. */
  readonly modes?: readonly ("agg" | "disagg")[];
}

export const defaultTtftMs = 2000;
export const defaultTpotMs = 30;

/** A layout of the answer: the prediction, how sure it is, why it was chosen, and the deployment it stands for. */
export interface FoundLayout extends Candidate {
  /** Where eight of ten measured deployments lay against such predictions, in ms. */
  readonly ttftRangeMs: readonly [number, number];
  readonly tpotRangeMs: readonly [number, number];
  readonly reason: string;
  readonly layout: Layout;
  /** What the event simulation measured; only for the first `confirm` layouts. */
  readonly simulated?: Simulated;
}

/** A point of the throughput-against-speed picture. */
export interface ParetoPoint extends Candidate {
  /** `2 × prefill TP1 + 3 × decode TP2 (batch 64)`. */
  readonly label: string;
  readonly meetsLimits: boolean;
}

export interface SearchResult {
  /** Best first; all meet the limits. */
  readonly layouts: readonly FoundLayout[];
  /** Undominated points of each mode, whatever the limits. */
  readonly pareto: readonly ParetoPoint[];
  /** Throughput of the best disaggregated layout over the best aggregated one, both within the limits; undefined when one is missing. */
  readonly disaggregationGain: number | undefined;
  /** How many layouts were predicted. */
  readonly considered: number;
  readonly limits: Limits;
}

/**
 * The layouts of greatest throughput within a GPU budget and service limits.
 *
 * @throws ConfiguratorError `CONFIGURATOR_DOES_NOT_FIT` (says how many GPUs would), `CONFIGURATOR_SLO_UNREACHABLE` (says
 * what can be reached), `CONFIGURATOR_OPTION_INVALID`; SimulatorError for unknown names.
 */
export function search(options: SearchOptions): SearchResult {
  const target = resolveTarget(options);
  checkPositive(options, ["gpus", "ttftMs", "tpotMs", "requestMs", "top"]);
  if (!Number.isInteger(options.gpus))
    throw configuratorError(
      "CONFIGURATOR_OPTION_INVALID",
      `gpus is ${options.gpus}; it must be a whole number`,
      { option: "gpus" },
    );
  checkWorkload(options, target.model);
  const limits = limitsOf(options);
  const candidates = allCandidates(target, options, limits);
  const good = candidates.filter((candidate) => meets(candidate, limits) && !candidate.isSaturated);
  if (good.length === 0) throw unreachable(candidates, limits, target);
  good.sort((a, b) => b.tokensPerSecondPerGpu - a.tokensPerSecondPerGpu || a.requestMs - b.requestMs);
  const layouts = distinct(good)
    .slice(0, options.top ?? 5)
    .map((candidate, index) => {
      const layout = found(candidate, target, options, limits, good);
      return index < (options.confirm ?? 1)
        ? { ...layout, simulated: simulateCandidate(candidate, target, options) }
        : layout;
    });
  const best = (mode: Candidate["mode"]): number | undefined =>
    good.find((candidate) => candidate.mode === mode)?.tokensPerSecondPerGpu;
  const agg = best("agg");
  const disagg = best("disagg");
  return {
    layouts,
    pareto: (["agg", "disagg"] as const).flatMap((mode) =>
      paretoFront(candidates.filter((candidate) => candidate.mode === mode && !candidate.isSaturated)).map(
        (candidate) => ({
          ...candidate,
          label: describeWorkers(candidate.workers),
          meetsLimits: meets(candidate, limits),
        }),
      ),
    ),
    disaggregationGain: agg === undefined || disagg === undefined ? undefined : disagg / agg,
    considered: candidates.length,
    limits,
  };
}

/** Limits as given, with the defaults where none is. */
export function limitsOf(options: Limits): Limits {
  const isRequestOnly =
    options.requestMs !== undefined && options.ttftMs === undefined && options.tpotMs === undefined;
  return {
    ttftMs: options.ttftMs ?? (isRequestOnly ? undefined : defaultTtftMs),
    tpotMs: options.tpotMs ?? (isRequestOnly ? undefined : defaultTpotMs),
    requestMs: options.requestMs,
  };
}

function allCandidates(target: Target, options: SearchOptions, limits: Limits): Candidate[] {
  const tokens = options.inputTokens + options.outputTokens;
  const splits = feasibleSplits(target, options.gpus, tokens);
  if (splits.length === 0) throw doesNotFit(target, options.gpus, tokens);
  const modes = options.modes ?? ["agg", "disagg"];
  return [
    ...(modes.includes("agg")
      ? aggregatedCandidates(workerPoints(target, options, splits), options, options.gpus, limits)
      : []),
    ...(modes.includes("disagg")
      ? disaggregatedCandidates(target, options, options.gpus, limits, splits)
      : []),
  ];
}

/** One operating point of each arrangement: a smaller batch of the same workers is no other layout. */
function distinct(candidates: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>();
  return candidates.filter((candidate) => {
    const key = `${candidate.mode} ${candidate.workers.map((group) => `${group.role}${group.count}${group.label}`).join("+")}`;
    return !seen.has(key) && seen.add(key);
  });
}

function found(
  candidate: Candidate,
  target: Target,
  options: SearchOptions,
  limits: Limits,
  all: readonly Candidate[],
): FoundLayout {
  const band = errorBands[candidate.mode];
  const range = (value: number, [low, high]: readonly [number, number]): readonly [number, number] => [
    value * low,
    value * high,
  ];
  return {
    ...candidate,
    ttftRangeMs: range(candidate.ttftMs, band.ttft),
    tpotRangeMs: range(candidate.tpotMs, band.tpot),
    reason: reasonFor(candidate, all, limits, options.gpus),
    layout: layoutOf(candidate, target, options, limits),
  };
}

/** `2 × prefill TP1 + 3 × decode TP2, batch 64`. */
export function describeWorkers(workers: Candidate["workers"]): string {
  return workers
    .map(
      ({ count, role, label, batch }) =>
        `${count} × ${role === "both" ? "" : `${role} `}${label}${role === "prefill" ? "" : ` (batch ${batch})`}`,
    )
    .join(" + ");
}

const named = { ttftMs: "TTFT", tpotMs: "TPOT", requestMs: "request time" } as const;

function unreachable(candidates: readonly Candidate[], limits: Limits, target: Target): Error {
  const usable = candidates.filter((candidate) => !candidate.isSaturated);
  const lowest = (key: "ttftMs" | "tpotMs" | "requestMs"): number =>
    Math.min(...usable.map((candidate) => candidate[key]));
  const asked = (["ttftMs", "tpotMs", "requestMs"] as const).filter((key) => limits[key] !== undefined);
  const reach = asked
    .map((key) => `${named[key]} ${lowest(key).toFixed(1)} ms (asked ${limits[key]} ms)`)
    .join(", ");
  return configuratorError(
    "CONFIGURATOR_SLO_UNREACHABLE",
    `No layout of ${target.model.name} on these GPUs meets all limits. Lowest each on its own: ${reach}. Relax the limit that is out of reach, use a narrower quantization, or more GPUs.`,
    {
      lowestTtftMs: lowest("ttftMs"),
      lowestTpotMs: lowest("tpotMs"),
      lowestRequestMs: lowest("requestMs"),
    },
  );
}

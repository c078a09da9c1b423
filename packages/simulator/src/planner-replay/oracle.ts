import type { Workers } from "@stator/planner";
import type { TraceRequest } from "../workload/trace-request.ts";
import { fixed } from "./strategies.ts";
import { runScaling, type ScalingOptions, type ScalingRun } from "./run-scaling.ts";

/** Share of requests that the oracle must keep within the SLO. */
export const oracleAttainment = 0.99;
const warmUpMs = 5_000;
const removalTries = 16;

export interface OracleOptions extends Omit<ScalingOptions, "strategy" | "initial"> {
  readonly durationMs: number;
  /** Most workers per role that may help. */
  readonly most: Workers;
}

/**
 * The least GPU-hours at 99 % attainment, knowing all arrivals: for each interval, role and number of workers the misses
 * are simulated; then numbers are taken away where a GPU costs fewest misses, until 1 % is used up, and the schedule is
 * run as a whole. Workers are ordered so that they are ready in time, and kept where a dip is shorter than their start.
 * A greedy descent: an upper bound of the optimum, and the best schedule this package knows to find.
 */
export function oracle(options: OracleOptions): {
  readonly run: ScalingRun;
  readonly schedule: readonly Workers[];
} {
  const { durationMs, intervalMs, most } = options;
  const count = Math.ceil(durationMs / intervalMs);
  const isAggregated = options.graph === "aggregated";
  const roles = isAggregated ? (["decode"] as const) : (["prefill", "decode"] as const);
  const misses = { prefill: [] as number[][], decode: [] as number[][] };
  for (const role of roles) {
    for (let n = 1; n <= most[role]; n++) {
      const workers: Workers = { ...most, [role]: n };
      misses[role][n] = Array.from({ length: count }, (_, i) => missesOf(options, i, workers));
    }
  }

  /** For each interval the fewest workers, when a GPU for one interval is worth `price` misses. */
  const scheduleAt = (price: number): Workers[] => {
    const numbers = { prefill: new Array<number>(count).fill(0), decode: new Array<number>(count).fill(0) };
    for (const role of roles) {
      const gpus = options.times.gpusPerWorker[role];
      for (let i = 0; i < count; i++) {
        let best = most[role];
        let least = Number.POSITIVE_INFINITY;
        for (let n = most[role]; n >= 1; n--) {
          const cost = n * gpus * price + misses[role][n]![i]!;
          if (cost <= least) {
            least = cost;
            best = n;
          }
        }
        numbers[role][i] = best;
      }
    }
    return numbers.prefill.map((prefill, i) => ({ prefill, decode: numbers.decode[i]! }));
  };
  const runOf = (schedule: readonly Workers[]): ScalingRun => runSchedule(options, schedule);

  let cheap = 0;
  let dear = 1;
  let schedule = scheduleAt(0);
  let run = runOf(schedule);
  for (let i = 0; i < 30; i++) {
    const tried = scheduleAt(dear);
    const result = runOf(tried);
    if (result.sloAttainment < oracleAttainment) break;
    cheap = dear;
    dear *= 4;
    if (result.gpuHours < run.gpuHours) [schedule, run] = [tried, result];
    if (dear > 1e6) break;
  }
  for (let i = 0; i < 7; i++) {
    const middle = (cheap + dear) / 2;
    const tried = scheduleAt(middle);
    const result = runOf(tried);
    if (result.sloAttainment < oracleAttainment) dear = middle;
    else {
      cheap = middle;
      if (result.gpuHours < run.gpuHours) [schedule, run] = [tried, result];
    }
  }

  // What is left of the 1 %: single workers of single intervals, those with the fewest misses first.
  const removals = schedule
    .flatMap((workers, i) =>
      roles
        .filter((role) => workers[role] > 1)
        .map((role) => ({
          i,
          role,
          cost:
            (misses[role][workers[role] - 1]![i]! - misses[role][workers[role]]![i]!) /
            options.times.gpusPerWorker[role],
        })),
    )
    .sort((a, b) => a.cost - b.cost);
  for (const { i, role } of removals.slice(0, removalTries)) {
    const tried = schedule.map((workers, k) =>
      k === i ? { ...workers, [role]: workers[role] - 1 } : workers,
    );
    const result = runOf(tried);
    if (result.sloAttainment >= oracleAttainment && result.gpuHours < run.gpuHours)
      [schedule, run] = [tried, result];
  }
  return { run, schedule };
}

/** Runs a schedule of one entry an interval, each worker ordered its start-up time ahead. */
export function runSchedule(options: OracleOptions, schedule: readonly Workers[]): ScalingRun {
  const { intervalMs, startupMs } = options;
  const neededFrom = (first: number): Workers => {
    let prefill = 0;
    let decode = 0;
    for (let j = first; j * intervalMs <= first * intervalMs + startupMs + 1e-6; j++) {
      const entry = schedule[Math.min(j, schedule.length - 1)]!;
      prefill = Math.max(prefill, entry.prefill);
      decode = Math.max(decode, entry.decode);
    }
    return { prefill, decode };
  };
  return runScaling({
    ...options,
    initial: neededFrom(0),
    strategy: { ...fixed(), decide: (_, __, nowMs) => neededFrom(Math.round(nowMs / intervalMs)) },
  });
}

/** Requests of one interval that would miss the SLO with these workers, after a short warm-up with the same. */
function missesOf(options: OracleOptions, interval: number, workers: Workers): number {
  const fromMs = interval * options.intervalMs;
  const startMs = Math.max(0, fromMs - warmUpMs);
  const own: TraceRequest[] = [];
  for (const request of options.workload)
    if (request.atMs >= startMs && request.atMs < fromMs + options.intervalMs)
      own.push({ ...request, atMs: request.atMs - startMs });
  const cut = fromMs - startMs;
  const run = runScaling({
    ...options,
    workload: own,
    durationMs: cut + options.intervalMs,
    initial: workers,
    startupMs: 0,
    // One observation at the end of the warm-up splits the timeline there.
    intervalMs: cut === 0 ? options.intervalMs : cut,
    strategy: fixed(),
  });
  const warmMisses =
    cut === 0 ? 0 : Math.round((1 - run.timeline[0]!.attainment) * (run.timeline[0]?.interval.requests ?? 0));
  return Math.round((1 - run.sloAttainment) * own.length) - warmMisses;
}

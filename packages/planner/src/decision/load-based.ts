import { raise } from "./raise.ts";
import type { Limits, Observations, Plan, Reason, Workers } from "./types.ts";

/** Thresholds of the mode without a profile. */
export interface LoadThresholds {
  /** Prompts that wait for each prefill worker: more adds one. Default 5, as Dynamo's. */
  readonly queueUp?: number;
  /** Fewer takes one away. Default 0.2. */
  readonly queueDown?: number;
  /** KV usage of the fullest decode worker, 0 to 1: more adds one. Default 0.9. */
  readonly kvUp?: number;
  /** Less takes one away, if the rest would stay below `kvUp` with its load. Default 0.5. */
  readonly kvDown?: number;
  /** GPUs of one worker. Default 1 per role. */
  readonly gpusPerWorker?: Workers;
}

/** Defaults of `LoadThresholds`, as of Dynamo 0.2's planner. */
export const defaultLoadThresholds: Required<LoadThresholds> = {
  queueUp: 5,
  queueDown: 0.2,
  kvUp: 0.9,
  kvDown: 0.5,
  gpusPerWorker: { prefill: 1, decode: 1 },
};

/** Rounds within which a falling prefill queue that clears by itself asks for nothing. */
const clearsWithinRounds = 3;
const defaultCoolDownMs = 30_000;
const mostHeadroom = 100;

/**
 * The decision for those without a profile, from the prefill queue and the memory of decode workers alone: one worker of
 * each role at a time. Pure. Down only after the cool-down, when nothing is starting, and where the remaining workers
 * would not be asked to grow again at once. `predictedTtftMs` and `predictedItlMs` are the last that were observed, since
 * nothing here predicts.
 */
export function planByLoad(
  observations: Observations,
  limits: Limits,
  thresholds: LoadThresholds = {},
): Plan {
  const { queueUp, queueDown, kvUp, kvDown, gpusPerWorker } = { ...defaultLoadThresholds, ...thresholds };
  const { intervals, target, ready } = observations;
  const isAggregated = limits.graph === "aggregated";
  const minimum = limits.minimum ?? { prefill: isAggregated ? 0 : 1, decode: 1 };
  const reasons: Reason[] = [];
  const queueRole = isAggregated ? "decode" : "prefill";
  const queues = intervals.map((interval) =>
    queuedPrompts(interval.queuedPrefillTokens, interval.inputTokens),
  );
  const perWorker = (queues[queues.length - 1] ?? 0) / Math.max(1, ready[queueRole]);
  const kvUsage = intervals[intervals.length - 1]?.kvUsage ?? 0;
  const workers = { prefill: isAggregated ? 0 : target.prefill, decode: target.decode };

  const add = (role: keyof Workers, message: string): void => {
    if (ready[role] < target[role]) {
      reasons.push({ role, code: "held:starting", message: `${target[role] - ready[role]} still starting` });
      return;
    }
    workers[role] = target[role] + 1;
    reasons.push({ role, code: "pressure", message });
  };
  const remove = (role: keyof Workers, message: string): void => {
    if (target[role] <= minimum[role])
      reasons.push({ role, code: "minimum", message: `the minimum of ${minimum[role]} suffices` });
    else if (ready[role] + (observations.stuck?.[role] ?? 0) < target[role])
      reasons.push({ role, code: "held:starting", message: `${target[role] - ready[role]} still starting` });
    else if (observations.sinceChangeMs[role] < (limits.coolDownMs ?? defaultCoolDownMs))
      reasons.push({
        role,
        code: "held:coolDown",
        message: `changed ${Math.round(observations.sinceChangeMs[role] / 1000)} s ago`,
      });
    else {
      workers[role] = target[role] - 1;
      reasons.push({ role, code: "calm", message });
    }
  };

  const isQueueLong = perWorker > queueUp && !clearsByItself(queues, ready[queueRole] * queueUp);
  const isQueueShort = perWorker < queueDown;
  const isKvFull = kvUsage > kvUp;
  const rest = ready.decode - 1;
  const isKvEmpty = kvUsage < kvDown && (rest < 1 || (kvUsage * ready.decode) / rest < kvUp);
  const queueText = `${perWorker.toFixed(1)} prompts wait for each worker`;
  const kvText = `the fullest cache is at ${Math.round(kvUsage * 100)} %`;
  if (isAggregated) {
    if (isKvFull) add("decode", kvText);
    else if (isQueueLong) add("decode", queueText);
    else if (isKvEmpty && isQueueShort) remove("decode", `${queueText}, and ${kvText}`);
  } else {
    if (isQueueLong) add("prefill", queueText);
    else if (isQueueShort) remove("prefill", queueText);
    if (isKvFull) add("decode", kvText);
    else if (isKvEmpty) remove("decode", kvText);
  }
  for (const role of ["prefill", "decode"] as const)
    if (!(isAggregated && role === "prefill") && reasons.every((reason) => reason.role !== role))
      reasons.push({ role, code: "steady", message: role === "prefill" ? queueText : kvText });

  const atLeast = {
    prefill: isAggregated ? 0 : Math.max(minimum.prefill, workers.prefill),
    decode: Math.max(minimum.decode, workers.decode),
  };
  const floor = {
    prefill: Math.min(atLeast.prefill, target.prefill),
    decode: Math.min(atLeast.decode, target.decode),
  };
  const fitted = shrunk(raise(floor, atLeast, gpusPerWorker, limits), gpusPerWorker, limits);
  for (const role of ["prefill", "decode"] as const)
    if (fitted[role] < atLeast[role])
      reasons.push({
        role,
        code: "budget",
        message: `${atLeast[role]} wanted, ${fitted[role]} fit into ${limits.gpus} GPUs`,
      });
  const last = [...intervals].reverse();
  return {
    ...fitted,
    reasons,
    predictedTtftMs: last.find((interval) => interval.ttftMs !== undefined)?.ttftMs ?? 0,
    predictedItlMs: last.find((interval) => interval.itlMs !== undefined)?.itlMs ?? 0,
    headroom: Math.min(
      mostHeadroom,
      perWorker > 0 ? queueUp / perWorker : mostHeadroom,
      kvUsage > 0 ? kvUp / kvUsage : mostHeadroom,
    ),
  };
}

function queuedPrompts(queuedTokens: number | undefined, inputTokens: number): number {
  return (queuedTokens ?? 0) / Math.max(1, inputTokens);
}

/** Whether a queue that fell by as much as between the last two rounds is short in a few more. */
function clearsByItself(queues: readonly number[], longest: number): boolean {
  const now = queues[queues.length - 1] ?? 0;
  const before = queues[queues.length - 2] ?? 0;
  return before > now && now - clearsWithinRounds * (before - now) < longest;
}

/** A target that was above the budget before (a person changed it, or the budget shrank) comes down to it. */
function shrunk(workers: Workers, gpus: Workers, limits: Limits): Workers {
  let { prefill, decode } = workers;
  while (prefill * gpus.prefill + decode * gpus.decode > limits.gpus && prefill + decode > 0) {
    if (prefill > 0 && prefill >= decode) prefill -= 1;
    else decode -= 1;
  }
  return { prefill, decode };
}

import type { Parallelism } from "@stator/simulator/performance-model";
import { gpusOf, sequenceCapacity, stepTime } from "@stator/simulator/performance-model";
import type { DisaggregatedPrediction } from "../serving/predict.ts";
import { predictDisaggregated, prefillCost } from "../serving/predict.ts";
import type { Target, WorkloadOptions } from "../target.ts";
import { batchSizes } from "./aggregated.ts";
import type { Candidate, Limits } from "./candidate.ts";
import { workerGroup } from "./candidate.ts";

interface PrefillKind {
  readonly split: Parallelism;
  readonly gpus: number;
  /** Requests per second of one worker. */
  readonly rate: number;
  readonly prefillMs: number;
}

interface DecodeKind {
  readonly split: Parallelism;
  readonly gpus: number;
  readonly batch: number;
  readonly rate: number;
  readonly tpotMs: number;
}

/** How many pairings are predicted in full, of those that rate matching likes best. */
const predictedPairs = 140;

/** Disaggregated layouts within `gpus` GPUs: worker counts matched by rate for this budget, not for a replica size. */
export function disaggregatedCandidates(
  target: Target,
  workload: WorkloadOptions,
  gpus: number,
  limits: Limits,
  splits: readonly Parallelism[],
): Candidate[] {
  if (gpus < 2) return [];
  const prefills = prefillKinds(target, workload, splits, gpus, limits);
  const decodes = decodeKinds(target, workload, splits, gpus, limits);
  const pairs: {
    prefill: PrefillKind;
    decode: DecodeKind;
    prefillWorkers: number;
    decodeWorkers: number;
    rate: number;
  }[] = [];
  for (const decode of decodes)
    for (const prefill of prefills) {
      let best: (typeof pairs)[number] | undefined;
      const most = Math.floor((gpus - prefill.gpus) / decode.gpus);
      for (let decodeWorkers = 1; decodeWorkers <= most; decodeWorkers++) {
        const prefillWorkers = Math.floor((gpus - decodeWorkers * decode.gpus) / prefill.gpus);
        if (prefillWorkers < 1) break;
        // A prefill pool at full load queues without end: a tenth of it is kept free.
        const needed = Math.max(1, Math.ceil((decodeWorkers * decode.rate) / (prefill.rate * 0.9)));
        const rate = Math.min(prefillWorkers * prefill.rate * 0.9, decodeWorkers * decode.rate);
        if (best === undefined || rate > best.rate + 1e-9)
          best = {
            prefill,
            decode,
            prefillWorkers: Math.min(prefillWorkers, Math.max(needed, 1)),
            decodeWorkers,
            rate,
          };
      }
      if (best) pairs.push(best);
    }
  pairs.sort((a, b) => b.rate - a.rate);
  // Fast operating points matter for the front even where throughput is low.
  const fast = [...pairs].sort((a, b) => a.decode.tpotMs - b.decode.tpotMs || b.rate - a.rate).slice(0, 40);
  const chosen = new Set([...pairs.slice(0, predictedPairs), ...fast]);
  return [...chosen].map(({ prefill, decode, prefillWorkers, decodeWorkers }) => {
    const spare = Math.floor(
      (gpus - decodeWorkers * decode.gpus - prefillWorkers * prefill.gpus) / prefill.gpus,
    );
    const count = prefillWorkers + Math.max(0, spare);
    const pools = {
      prefill: { ...target, parallelism: prefill.split },
      decode: { ...target, parallelism: decode.split },
      prefillWorkers: count,
      decodeWorkers,
    };
    const { batch, prediction } = unsaturated(
      (decodeBatch) => predictDisaggregated({ ...pools, decodeBatch }, workload),
      decode.batch,
    );
    return {
      mode: "disagg" as const,
      workers: [
        workerGroup("prefill", count, prefill.split, 1),
        workerGroup("decode", decodeWorkers, decode.split, Math.max(1, Math.ceil(batch))),
      ],
      gpusUsed: count * prefill.gpus + decodeWorkers * decode.gpus,
      requestsPerSecond: prediction.requestsPerSecond,
      tokensPerSecondPerGpu: (prediction.requestsPerSecond * workload.outputTokens) / gpus,
      tokensPerSecondPerUser: 1000 / prediction.tpotMs,
      ttftMs: prediction.ttftMs,
      tpotMs: prediction.tpotMs,
      requestMs: prediction.requestMs,
      concurrency: Math.max(1, Math.round(batch * decode.split.data * decodeWorkers)),
      transferMs: prediction.transferMs,
      isSaturated: prediction.isSaturated,
    };
  });
}

/** Prefill pools are run at most this full: past it first tokens wait ever longer for little more throughput. */
const highestPrefillLoad = 0.9;

/** The fullest load of the decode slots at which prefill keeps up. */
function unsaturated(
  predict: (batch: number) => DisaggregatedPrediction,
  most: number,
): { batch: number; prediction: DisaggregatedPrediction } {
  let high = most;
  let best = { batch: most, prediction: predict(most) };
  if (best.prediction.prefillLoad <= highestPrefillLoad || most <= 1) return best;
  let low = Math.min(1, most);
  for (let round = 0; round < 5; round++) {
    const batch = Math.sqrt(low * high);
    const prediction = predict(batch);
    if (prediction.prefillLoad <= highestPrefillLoad) {
      best = { batch, prediction };
      low = batch;
    } else high = batch;
  }
  return best;
}

function prefillKinds(
  target: Target,
  workload: WorkloadOptions,
  splits: readonly Parallelism[],
  gpus: number,
  limits: Limits,
): PrefillKind[] {
  const kinds = splits
    .filter((split) => gpusOf(split) < gpus)
    .map((split) => {
      const { prefillMs, serviceMs } = prefillCost({ ...target, parallelism: split }, workload);
      return { split, gpus: gpusOf(split), rate: 1000 / serviceMs, prefillMs };
    });
  const inTime = kinds.filter((kind) => kind.prefillMs <= (limits.ttftMs ?? Infinity));
  const pool = inTime.length > 0 ? inTime : kinds;
  const byRate = [...pool].sort((a, b) => b.rate / b.gpus - a.rate / a.gpus).slice(0, 5);
  const byTime = [...pool].sort((a, b) => a.prefillMs - b.prefillMs).slice(0, 3);
  return [...new Set([...byRate, ...byTime])];
}

function decodeKinds(
  target: Target,
  workload: WorkloadOptions,
  splits: readonly Parallelism[],
  gpus: number,
  limits: Limits,
): DecodeKind[] {
  const kinds: DecodeKind[] = [];
  for (const split of splits) {
    const size = gpusOf(split);
    if (size >= gpus) continue;
    const worker = { ...target, parallelism: split };
    const capacity = sequenceCapacity(worker, workload.inputTokens + workload.outputTokens);
    for (const batch of batchSizes) {
      if (batch > capacity) break;
      const tpotMs = stepTime({
        ...worker,
        batch: {
          decode: {
            sequences: batch / split.pipeline,
            contextTokens: workload.inputTokens + workload.outputTokens / 2,
          },
        },
      });
      kinds.push({
        split,
        gpus: size,
        batch,
        tpotMs,
        rate: (batch * split.data * 1000) / (tpotMs * workload.outputTokens),
      });
    }
  }
  const inTime = kinds.filter((kind) => kind.tpotMs <= (limits.tpotMs ?? Infinity));
  const byRate = [...inTime].sort((a, b) => b.rate / b.gpus - a.rate / a.gpus).slice(0, 40);
  // The front needs operating points beyond the limits too: the best of each split at every speed.
  const perSpeed = batchSizes.flatMap((batch) =>
    kinds
      .filter((kind) => kind.batch === batch)
      .sort((a, b) => b.rate / b.gpus - a.rate / a.gpus)
      .slice(0, 3),
  );
  return [...new Set([...byRate, ...perSpeed])];
}

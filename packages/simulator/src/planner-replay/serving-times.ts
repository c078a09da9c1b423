import { itlSurface, monotoneCurve, type Profile } from "@stator/planner";
import type { BackendName } from "../performance-model/engines/backend-terms.ts";
import { findModel } from "../performance-model/models/find-model.ts";
import { kvBytesOfSequence, memoryUse } from "../performance-model/split/memory.ts";
import { parallelism } from "../performance-model/split/parallelism.ts";
import { namedQuantization } from "../performance-model/split/quantization.ts";
import { stepTime } from "../performance-model/step-time.ts";
import { findSystem } from "../performance-model/systems/system-spec.ts";

/** How long the steps of one worker take: the physics under a scaled cluster. */
export interface ServingTimes {
  readonly source: string;
  readonly gpusPerWorker: { readonly prefill: number; readonly decode: number };
  /** Tokens of KV that one worker holds. */
  readonly maxKvTokens: number;
  /** Handing the KV of one token from prefill to decode. */
  readonly transferMsPerToken: number;
  /** One prompt alone, `newTokens` behind `pastTokens` that are cached. */
  prefillMs(newTokens: number, pastTokens: number): number;
  /** One token of each of `sequences`, holding `contextTokens` in the mean. */
  decodeMs(sequences: number, contextTokens: number): number;
  /** A chunk of a prompt in the same step as that decode batch. */
  mixedMs(newTokens: number, pastTokens: number, sequences: number, contextTokens: number): number;
}

export interface ModelledTimesOptions {
  /** Default `meta-llama/Llama-3.1-8B`. */
  readonly model?: string;
  /** Default `h200`. */
  readonly system?: string;
  /** Default `fp8`. */
  readonly quantization?: string;
  /** Default `vllm`. */
  readonly backend?: BackendName;
  /** Default 1, in both roles. */
  readonly tensor?: number;
  /** Bandwidth of KV transfer, bytes per second. Default 50e9, a 400 Gb/s NIC. */
  readonly transferBytesPerSecond?: number;
}

const tokenGrain = 64;
const contextGrain = 128;

/** Times from the performance model. Remembered by grains of 64 prompt and 128 context tokens. */
export function modelledTimes(options: ModelledTimesOptions = {}): ServingTimes {
  const { model: name = "meta-llama/Llama-3.1-8B", backend = "vllm", tensor = 1 } = options;
  const model = findModel(name);
  const system = findSystem(options.system ?? "h200");
  const quantization = namedQuantization(options.quantization ?? "fp8", model, system);
  const split = parallelism({ tensor });
  const memory = { model, system, parallelism: split, quantization };
  const bytesPerToken = (kvBytesOfSequence(memory, 8192) * tensor) / 8192;
  const step = (newTokens: number, pastTokens: number, sequences: number, contextTokens: number): number =>
    stepTime({
      model,
      system,
      parallelism: split,
      quantization,
      backend,
      batch: {
        ...(newTokens > 0 ? { prefill: [{ sequences: 1, newTokens, pastTokens }] } : {}),
        ...(sequences > 0 ? { decode: { sequences, contextTokens } } : {}),
      },
    });
  const memo = new Map<string, number>();
  const remembered = (n: number, past: number, sequences: number, context: number): number => {
    const a = n === 0 ? 0 : Math.max(1, Math.round(n / tokenGrain)) * tokenGrain;
    const b = Math.round(past / tokenGrain) * tokenGrain;
    const d = sequences === 0 ? 0 : Math.max(1, Math.round(context / contextGrain)) * contextGrain;
    const key = `${a},${b},${sequences},${d}`;
    let ms = memo.get(key);
    if (ms === undefined) memo.set(key, (ms = step(a, b, sequences, d)));
    return ms;
  };
  // A batch of decodes is asked for at every event: a plain table instead of a map of strings.
  const decode: Float64Array[] = [];
  return {
    source: `${name} ${options.quantization ?? "fp8"}, ${tensor} × ${options.system ?? "h200"}, performance model (${backend})`,
    gpusPerWorker: { prefill: tensor, decode: tensor },
    maxKvTokens: memoryUse(memory).kvCapacityTokens,
    transferMsPerToken: (bytesPerToken / (options.transferBytesPerSecond ?? 50e9)) * 1000,
    prefillMs: (n, past) => remembered(n, past, 0, 0),
    decodeMs(sequences, contextTokens) {
      const grain = Math.max(1, Math.round(contextTokens / contextGrain));
      const row = (decode[sequences] ??= new Float64Array(2048));
      if (grain >= row.length) return remembered(0, 0, sequences, contextTokens);
      return (row[grain] ||= step(0, 0, sequences, grain * contextGrain));
    },
    mixedMs(n, past, sequences, context) {
      const few = sequences <= 16 ? sequences : Math.round(sequences / 8) * 8;
      return remembered(n, Math.round(past / 512) * 512, few, Math.round(context / 512) * 512);
    },
  };
}

/** Times read from a profile: what the planner believes is then also what happens. */
export function timesOfProfile(profile: Profile): ServingTimes {
  const curve = monotoneCurve(profile.prefill.points.map((point) => [point.inputTokens, point.ttftMs]));
  const surface = itlSurface(profile.decode.points);
  const whole = (tokens: number): number => curve.at(tokens).value * Math.max(1, tokens / curve.to);
  const { maxKvTokens } = profile.decode;
  const decodeMs = (sequences: number, contextTokens: number): number =>
    surface.at((sequences * contextTokens) / maxKvTokens, contextTokens).value;
  const prefillMs = (newTokens: number, pastTokens: number): number =>
    pastTokens === 0
      ? whole(newTokens)
      : Math.max((whole(1) * 1) / 1, whole(newTokens + pastTokens) - whole(pastTokens));
  return {
    source: profile.source ?? "profile",
    gpusPerWorker: { prefill: profile.prefill.gpusPerWorker, decode: profile.decode.gpusPerWorker },
    maxKvTokens,
    transferMsPerToken: 0.0013,
    prefillMs,
    decodeMs,
    mixedMs: (n, past, sequences, context) =>
      prefillMs(n, past) + (sequences === 0 ? 0 : 0.3 * decodeMs(sequences, context)),
  };
}

/** A profile of these times: input lengths to 32 Ki, contexts to 32 Ki, batches up to a full cache. In milliseconds of work. */
export function profileOfTimes(times: ServingTimes, model?: string): Profile {
  const inputs = [64, 256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768];
  const contexts = [256, 1024, 2048, 3072, 4096, 8192, 16_384, 32_768];
  const usages = [0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1];
  const points = contexts.flatMap((contextTokens) => {
    const seen = new Map<number, { kvUsage: number; contextTokens: number; itlMs: number }>();
    for (const usage of usages) {
      const sequences = Math.max(1, Math.min(1024, Math.round((usage * times.maxKvTokens) / contextTokens)));
      const kvUsage = Math.min(1, (sequences * contextTokens) / times.maxKvTokens);
      seen.set(sequences, { kvUsage, contextTokens, itlMs: times.decodeMs(sequences, contextTokens) });
    }
    return [...seen.values()];
  });
  return {
    version: 1,
    ...(model === undefined ? {} : { model }),
    source: times.source,
    prefill: {
      gpusPerWorker: times.gpusPerWorker.prefill,
      points: inputs.map((inputTokens) => ({ inputTokens, ttftMs: times.prefillMs(inputTokens, 0) })),
    },
    decode: { gpusPerWorker: times.gpusPerWorker.decode, maxKvTokens: times.maxKvTokens, points },
  };
}

import type { BackendName } from "../../performance-model/engines/backend-terms.ts";
import type { ModelSpec } from "../../performance-model/models/model-spec.ts";
import type { Parallelism } from "../../performance-model/split/parallelism.ts";
import type { Quantization } from "../../performance-model/split/quantization.ts";
import type { StepBatch } from "../../performance-model/step-batch.ts";
import { stepTime } from "../../performance-model/step-time.ts";
import type { SystemSpec } from "../../performance-model/systems/system-spec.ts";

/**
 * Milliseconds of one engine step of a rank: `prefillTokens` of `prompts` prompts behind `pastTokens` each (their mean),
 * beside `decoding` sequences that hold `contextTokens` each (their mean).
 */
export interface StepMs {
  (
    prefillTokens: number,
    prompts: number,
    pastTokens: number,
    decoding: number,
    contextTokens: number,
  ): number;
}

/** Times of a worker whose prefill and decode are straight lines: for studies of queueing and routing alone. */
export function linearStepMs(options: {
  /** Each step. Default 0. */
  readonly fixedMs?: number;
  readonly msPerPrefillToken: number;
  /** Each sequence that decodes. Default 0. */
  readonly msPerSequence?: number;
}): StepMs {
  const { fixedMs = 0, msPerPrefillToken, msPerSequence = 0 } = options;
  return (prefillTokens, _prompts, _past, decoding) =>
    fixedMs + prefillTokens * msPerPrefillToken + decoding * msPerSequence;
}

const GRID = Math.log(1.03);

/**
 * Times from the performance model, remembered by sizes rounded to some 3 %: steps that differ by less differ by less
 * than the model's own error.
 */
export function modelledStepMs(worker: {
  readonly model: ModelSpec;
  readonly system: SystemSpec;
  readonly backend: BackendName;
  readonly parallelism: Parallelism;
  readonly quantization: Quantization;
}): StepMs {
  const known = new Map<number, number>();
  const cell = (value: number): number =>
    value <= 16 ? Math.round(value) : 17 + Math.round(Math.log(value / 17) / GRID);
  const size = (index: number): number => (index <= 16 ? index : 17 * Math.exp((index - 17) * GRID));
  return (prefillTokens, prompts, pastTokens, decoding, contextTokens) => {
    const cells = [prefillTokens, Math.min(prompts, 63), pastTokens, decoding, contextTokens].map(cell);
    const key = cells.reduce((sum, index) => sum * 512 + index, 0);
    const remembered = known.get(key);
    if (remembered !== undefined) return remembered;
    const [tokens, sequences, past, running, context] = cells.map(size) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const prefill =
      tokens > 0 ? [{ sequences, newTokens: tokens / Math.max(1, sequences), pastTokens: past }] : undefined;
    const batch: StepBatch = {
      ...(prefill === undefined ? {} : { prefill }),
      ...(running > 0 ? { decode: { sequences: running, contextTokens: context } } : {}),
    };
    const ms = stepTime({ ...worker, batch });
    known.set(key, ms);
    return ms;
  };
}

import { stepTime } from "@stator/simulator/performance-model";
import type { StepBatch } from "@stator/simulator/performance-model";
import type { WorkerSpec } from "../predict.ts";

/** Milliseconds of a step with `prefillTokens` of `prompts` prompts behind `pastTokens` each, beside `decoding` sequences. */
export type StepMs = (
  prefillTokens: number,
  prompts: number,
  pastTokens: number,
  decoding: number,
  contextTokens: number,
) => number;

/** Step times by sizes rounded to about 3 %: thousands of steps differ by less than the model's own error. */
export function cachedStepTime(worker: WorkerSpec): StepMs {
  const known = new Map<string, number>();
  const rounded = (value: number): number =>
    value <= 16 ? Math.round(value) : Math.round(1.03 ** Math.round(Math.log(value) / Math.log(1.03)));
  return (prefillTokens, prompts, pastTokens, decoding, contextTokens) => {
    const sizes = [
      rounded(prefillTokens),
      Math.min(prompts, prefillTokens),
      rounded(decoding),
      rounded(contextTokens),
    ] as const;
    const key = sizes.join();
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    const [tokens, sequences, running, context] = sizes;
    const batch: StepBatch = {
      ...(tokens > 0 ? { prefill: [{ sequences, newTokens: tokens / sequences, pastTokens }] } : {}),
      ...(running > 0 ? { decode: { sequences: running, contextTokens: context } } : {}),
    };
    const ms = stepTime({ ...worker, batch });
    known.set(key, ms);
    return ms;
  };
}

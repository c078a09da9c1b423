/** What one engine step computes, for a model of its duration. */
export interface StepBatch {
  /** Sequences that compute one token each. */
  readonly decodeSequences: number;
  /** Tokens in the KV of those sequences, summed. */
  readonly decodeContextTokens: number;
  /** Sequences with a chunk of prompt in this step. */
  readonly prefillSequences: number;
  /** Prompt tokens computed in this step, summed. */
  readonly prefillTokens: number;
  /** Tokens already in the KV of those sequences, summed. */
  readonly prefillContextTokens: number;
}

/** Milliseconds that a step takes; 0 runs as fast as the machine can. */
export type StepTime = (batch: StepBatch) => number;

export interface LinearStepTimeOptions {
  /** Milliseconds of every step. */
  readonly baseMs: number;
  /** Milliseconds per sequence that decodes. Default 0. */
  readonly perSequenceMs?: number;
  /** Milliseconds per prompt token. Default 0. */
  readonly perPrefillTokenMs?: number;
}

/** A step time that is linear in what the step computes. */
export function linearStepTime({
  baseMs,
  perSequenceMs = 0,
  perPrefillTokenMs = 0,
}: LinearStepTimeOptions): StepTime {
  return ({ decodeSequences, prefillTokens }) =>
    baseMs + perSequenceMs * decodeSequences + perPrefillTokenMs * prefillTokens;
}

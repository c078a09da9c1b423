import { simulatorError } from "../simulator-error.ts";

/** Sequences of one step that are being prefilled alike. */
export interface PrefillChunk {
  readonly sequences: number;
  /** Prompt tokens computed in this step, per sequence. */
  readonly newTokens: number;
  /** Tokens of each sequence already in the KV cache (cached prefix or earlier chunks). */
  readonly pastTokens: number;
}

/** Sequences of one step that each produce one token. Fractions are allowed: averages are batches too. */
export interface DecodeBatch {
  readonly sequences: number;
  /** Mean tokens in the KV cache per sequence, the new one included. */
  readonly contextTokens: number;
}

/** What one engine step does, per attention-data-parallel rank. */
export interface StepBatch {
  readonly prefill?: readonly PrefillChunk[];
  readonly decode?: DecodeBatch;
}

/** @throws SimulatorError `SIMULATOR_BATCH_INVALID` for negative or non-finite counts. */
export function checkBatch(batch: StepBatch): void {
  const numbers = [
    ...(batch.prefill ?? []).flatMap((chunk) => [chunk.sequences, chunk.newTokens, chunk.pastTokens]),
    ...(batch.decode ? [batch.decode.sequences, batch.decode.contextTokens] : []),
  ];
  for (const value of numbers)
    if (!(value >= 0 && Number.isFinite(value)))
      throw simulatorError(
        "SIMULATOR_BATCH_INVALID",
        `A batch holds ${value}; sequences and tokens must be finite and not negative`,
        { value },
      );
}

/** Tokens that go through the matrices in this step. */
export function tokensOf(batch: StepBatch): number {
  let tokens = batch.decode?.sequences ?? 0;
  for (const chunk of batch.prefill ?? []) tokens += chunk.sequences * chunk.newTokens;
  return tokens;
}

/** Rows of which logits are needed. */
export function logitRowsOf(batch: StepBatch): number {
  let rows = batch.decode?.sequences ?? 0;
  for (const chunk of batch.prefill ?? []) rows += chunk.sequences;
  return rows;
}

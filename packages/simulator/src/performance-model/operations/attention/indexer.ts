import type { AttentionStep } from "./attention-step.ts";

/** Bytes of one index key: 128 values in 8 bits and a scale. */
export const indexKeyBytes = 132;

/** The indexer of sparse attention scores every cached entry (one per `ratio` tokens) with a narrow key. */
export function addIndexer({ add, count, prefill, decode }: AttentionStep, ratio: number): void {
  const scored =
    (decode ? decode.sequences * decode.contextTokens : 0) +
    prefill.reduce((sum, chunk) => sum + chunk.sequences * (chunk.newTokens + chunk.pastTokens), 0);
  add("indexer", count, { kind: "elementwise", bytes: (scored / ratio) * indexKeyBytes, kernels: 3 });
}

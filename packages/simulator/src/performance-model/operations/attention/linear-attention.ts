import type { LinearAttention } from "../../models/model-spec.ts";
import type { AttentionStep } from "./attention-step.ts";

/** Recurrent mixers: gated delta nets and Mamba-2, whose groups and state are keys, whose heads are values. */
export function addLinearAttention(step: AttentionStep, attention: LinearAttention): void {
  const { add, count, tokens, matrix, model, parallelism, prefill, decode } = step;
  const { tensor } = parallelism;
  const { hidden } = model;
  const heads = attention.valueHeads / tensor;
  const key = (attention.keyHeads * attention.keyHeadDim) / tensor;
  const value = heads * attention.valueHeadDim;
  add("qkvProjection", count, matrix(tokens, 2 * key + 2 * value + 2 * heads, hidden));
  add("linearAttention", count, {
    kind: "linearAttention",
    prefillTokens: prefill.reduce((sum, chunk) => sum + chunk.sequences * chunk.newTokens, 0),
    decodeSequences: decode?.sequences ?? 0,
    heads,
    keyHeadDim: attention.keyHeadDim,
    valueHeadDim: attention.valueHeadDim,
  });
  add("outputProjection", count, matrix(tokens, hidden, value));
  add("normAndConvolution", count, {
    kind: "elementwise",
    bytes: tokens * (hidden * 6 + (2 * key + 2 * value) * 4),
    kernels: 4,
  });
}

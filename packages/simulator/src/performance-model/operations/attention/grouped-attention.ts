import type { GroupedAttention } from "../../models/model-spec.ts";
import type { AttentionStep } from "./attention-step.ts";

/** Multi-head, grouped-query and multi-query attention, with or without a window. */
export function addGroupedAttention(step: AttentionStep, attention: GroupedAttention): void {
  const { add, count, tokens, matrix, model, parallelism, quantization, prefill, decode } = step;
  const { hidden } = model;
  const { kvCache } = quantization;
  const { headDim, valueHeadDim, windowTokens } = attention;
  const heads = attention.heads / parallelism.tensor;
  const kvHeads = Math.ceil(attention.kvHeads / parallelism.tensor);
  const query = heads * headDim;
  const kv = kvHeads * (headDim + valueHeadDim);
  const shape = { heads, kvHeads, headDim, valueHeadDim, windowTokens, kvCache };
  add("qkvProjection", count, matrix(tokens, query * (attention.gated ? 2 : 1) + kv, hidden));
  for (const chunk of prefill)
    add("prefillAttention", count, {
      kind: "prefillAttention",
      ...chunk,
      ...shape,
      isLatent: false,
      format: quantization.attention,
    });
  if (decode) add("decodeAttention", count, { kind: "decodeAttention", ...decode, ...shape });
  add("outputProjection", count, matrix(tokens, hidden, heads * valueHeadDim));
  const rotary = tokens * (2 * (query + kv) * 2 + kv * (kvCache === "fp8" ? 1 : 2));
  add("normAndRotary", count, { kind: "elementwise", bytes: tokens * hidden * 6 + rotary, kernels: 2 });
}

import type { CompressedAttention } from "../../models/model-spec.ts";
import { attendedEntries } from "../../models/model-spec.ts";
import type { AttentionStep } from "./attention-step.ts";
import { addIndexer } from "./indexer.ts";

/**
 * DeepSeek-V4's attention: one shared key/value head, a short window of plain tokens beside entries that stand for
 * `ratio` tokens each, and an output projection in groups of low rank.
 */
export function addCompressedAttention(step: AttentionStep, attention: CompressedAttention): void {
  const { add, count, tokens, matrix, model, parallelism, quantization, prefill, decode } = step;
  const { tensor } = parallelism;
  const { hidden } = model;
  const { kvCache } = quantization;
  const { headDim, ropeHeadDim, queryRank, outputGroups, outputRank, ratio, selectedEntries } = attention;
  const heads = attention.heads / tensor;
  // Beside the window's key, a compressor makes an entry and the weights it is pooled with.
  const kvColumns = headDim * (ratio > 0 ? 3 : 1);
  add("downProjection", count, matrix(tokens, queryRank + kvColumns, hidden));
  add("queryProjection", count, matrix(tokens, heads * headDim, queryRank));
  for (const chunk of prefill)
    add("prefillAttention", count, {
      kind: "prefillAttention",
      ...chunk,
      heads,
      kvHeads: 1,
      headDim,
      valueHeadDim: headDim,
      windowTokens: Math.max(1, Math.round(attendedEntries(attention, chunk.pastTokens + chunk.newTokens))),
      isLatent: true,
      format: quantization.attention,
      kvCache,
    });
  if (decode)
    add("decodeAttention", count, {
      kind: "decodeLatent",
      sequences: decode.sequences,
      contextTokens: attendedEntries(attention, decode.contextTokens),
      heads,
      kvRank: headDim - ropeHeadDim,
      ropeHeadDim,
      kvCache,
    });
  if (ratio > 0 && selectedEntries !== undefined) addIndexer(step, ratio);
  const groups = outputGroups / tensor;
  add("outputReduction", count, matrix(tokens, groups * outputRank, (heads * headDim) / groups));
  add("outputProjection", count, matrix(tokens, hidden, groups * outputRank));
  add("normAndRotary", count, {
    kind: "elementwise",
    bytes: tokens * (hidden * 6 + heads * headDim * 4 + kvColumns * 4),
    kernels: 3,
  });
}

import type { LatentAttention } from "../../models/model-spec.ts";
import type { AttentionStep } from "./attention-step.ts";
import { addIndexer } from "./indexer.ts";

/** Multi-head latent attention: expanded for prompts, absorbed into the compressed cache for decoding. */
export function addLatentAttention(step: AttentionStep, attention: LatentAttention): void {
  const { add, count, tokens, matrix, model, parallelism, quantization, prefill, decode } = step;
  const { hidden } = model;
  const { kvCache } = quantization;
  const heads = attention.heads / parallelism.tensor;
  const { queryRank, kvRank, nopeHeadDim, ropeHeadDim, valueHeadDim, sparseTokens } = attention;
  const queryDim = nopeHeadDim + ropeHeadDim;
  const queryColumns = heads * queryDim;
  add(
    "downProjection",
    count,
    matrix(tokens, (queryRank > 0 ? queryRank : queryColumns) + kvRank + ropeHeadDim, hidden),
  );
  if (queryRank > 0) add("queryProjection", count, matrix(tokens, queryColumns, queryRank));
  for (const chunk of prefill) {
    const seen = chunk.pastTokens + chunk.newTokens;
    add("kvProjection", count, matrix(chunk.sequences * seen, heads * (nopeHeadDim + valueHeadDim), kvRank));
    add("prefillAttention", count, {
      kind: "prefillAttention",
      ...chunk,
      heads,
      kvHeads: heads,
      headDim: queryDim,
      valueHeadDim,
      windowTokens: sparseTokens,
      isLatent: true,
      format: quantization.attention,
      kvCache,
    });
  }
  if (decode) {
    const { sequences } = decode;
    add("absorbQuery", count, {
      kind: "headMatrix",
      rows: sequences,
      heads,
      inner: nopeHeadDim,
      columns: kvRank,
    });
    add("decodeAttention", count, {
      kind: "decodeLatent",
      sequences,
      contextTokens: Math.min(decode.contextTokens, sparseTokens ?? Infinity),
      heads,
      kvRank,
      ropeHeadDim,
      kvCache,
    });
    add("expandValue", count, {
      kind: "headMatrix",
      rows: sequences,
      heads,
      inner: kvRank,
      columns: valueHeadDim,
    });
  }
  if (sparseTokens !== undefined) addIndexer(step, 1);
  add("outputProjection", count, matrix(tokens, hidden, heads * valueHeadDim));
  add("normAndRotary", count, {
    kind: "elementwise",
    bytes: tokens * (hidden * 6 + queryColumns * 4 + (kvRank + ropeHeadDim) * 4),
    kernels: 3,
  });
}

import type { LayerGroup, ModelSpec } from "../models/model-spec.ts";
import type { Operation, OperationShape } from "./operation.ts";
import type { Parallelism } from "../split/parallelism.ts";
import type { Quantization } from "../split/quantization.ts";
import type { StepBatch } from "../step-batch.ts";
import { logitRowsOf, tokensOf } from "../step-batch.ts";

export interface StepShape {
  readonly model: ModelSpec;
  readonly parallelism: Parallelism;
  readonly quantization: Quantization;
  readonly batch: StepBatch;
}

type Add = (name: string, count: number, shape: OperationShape) => void;

/** Every operation that one GPU of each stage runs for this step, over all layers; equal ones are counted, not repeated. */
export function operationsOfStep(step: StepShape): Operation[] {
  const { model, parallelism, batch } = step;
  const tokens = tokensOf(batch);
  const operations: Operation[] = [];
  if (tokens === 0) return operations;
  const add: Add = (name, count, shape) => {
    if (count > 0) operations.push({ name, count, shape });
  };
  const hiddenBytes = tokens * model.hidden * 2;
  add("embedding", 1, { kind: "elementwise", bytes: 2 * hiddenBytes, kernels: 1 });
  for (const group of model.layers) {
    addAttention(add, step, group, tokens);
    addFeedForward(add, step, group, tokens);
  }
  const rows = logitRowsOf(batch);
  add("logits", 1, {
    kind: "matrix",
    rows,
    columns: Math.ceil(model.vocabulary / parallelism.tensor),
    inner: model.hidden,
    format: "bf16",
  });
  if (parallelism.tensor > 1)
    add("logitsGather", 1, {
      kind: "collective",
      collective: "allGather",
      bytes: rows * model.vocabulary * 2,
      gpus: parallelism.tensor,
    });
  // Logits are read in 32 bits for temperature, top-p and the draw.
  add("sampling", 1, { kind: "elementwise", bytes: rows * model.vocabulary * 4 * 3, kernels: 4 });
  if (parallelism.pipeline > 1)
    add("pipeline", parallelism.pipeline - 1, {
      kind: "collective",
      collective: "sendReceive",
      bytes: hiddenBytes / parallelism.tensor,
      gpus: parallelism.tensor * parallelism.data * 2,
    });
  return operations;
}

function addAttention(
  add: Add,
  { model, parallelism, quantization, batch }: StepShape,
  { count, attention }: LayerGroup,
  tokens: number,
): void {
  const { tensor } = parallelism;
  const { hidden } = model;
  const matrix = (rows: number, columns: number, inner: number): OperationShape => ({
    kind: "matrix",
    rows,
    columns,
    inner,
    format: quantization.dense,
  });
  const { kvCache } = quantization;
  const prefill = (batch.prefill ?? []).filter((chunk) => chunk.sequences > 0 && chunk.newTokens > 0);
  const decode = batch.decode && batch.decode.sequences > 0 ? batch.decode : undefined;
  const cacheWidth = kvCache === "fp8" ? 1 : 2;

  if (attention.kind === "grouped") {
    const heads = attention.heads / tensor;
    const kvHeads = Math.ceil(attention.kvHeads / tensor);
    const { headDim, windowTokens } = attention;
    const width = heads * headDim;
    add(
      "qkvProjection",
      count,
      matrix(tokens, width * (attention.gated ? 2 : 1) + 2 * kvHeads * headDim, hidden),
    );
    for (const chunk of prefill)
      add("prefillAttention", count, {
        kind: "prefillAttention",
        ...chunk,
        heads,
        kvHeads,
        headDim,
        valueHeadDim: headDim,
        windowTokens,
        isLatent: false,
        format: quantization.attention,
        kvCache,
      });
    if (decode)
      add("decodeAttention", count, {
        kind: "decodeAttention",
        ...decode,
        heads,
        kvHeads,
        headDim,
        windowTokens,
        kvCache,
      });
    add("outputProjection", count, matrix(tokens, hidden, width));
    const rotary = tokens * (2 * (width + 2 * kvHeads * headDim) * 2 + 2 * kvHeads * headDim * cacheWidth);
    add("normAndRotary", count, { kind: "elementwise", bytes: tokens * hidden * 6 + rotary, kernels: 2 });
  } else if (attention.kind === "linear") {
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
  } else {
    const heads = attention.heads / tensor;
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
      add(
        "kvProjection",
        count,
        matrix(chunk.sequences * seen, heads * (nopeHeadDim + valueHeadDim), kvRank),
      );
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
      const contextTokens =
        sparseTokens === undefined ? decode.contextTokens : Math.min(decode.contextTokens, sparseTokens);
      add("absorbQuery", count, {
        kind: "headMatrix",
        rows: decode.sequences,
        heads,
        inner: nopeHeadDim,
        columns: kvRank,
      });
      add("decodeAttention", count, {
        kind: "decodeLatent",
        sequences: decode.sequences,
        contextTokens,
        heads,
        kvRank,
        ropeHeadDim,
        kvCache,
      });
      add("expandValue", count, {
        kind: "headMatrix",
        rows: decode.sequences,
        heads,
        inner: kvRank,
        columns: valueHeadDim,
      });
    }
    // The indexer scores every cached token with one 128-wide 8-bit key.
    if (sparseTokens !== undefined) {
      const scored =
        (decode ? decode.sequences * decode.contextTokens : 0) +
        prefill.reduce((sum, chunk) => sum + chunk.sequences * (chunk.newTokens + chunk.pastTokens), 0);
      add("indexer", count, { kind: "elementwise", bytes: scored * 132, kernels: 3 });
    }
    add("outputProjection", count, matrix(tokens, hidden, heads * valueHeadDim));
    add("normAndRotary", count, {
      kind: "elementwise",
      bytes: tokens * (hidden * 6 + queryColumns * 4 + (kvRank + ropeHeadDim) * 4),
      kernels: 3,
    });
  }
  if (tensor > 1)
    add("attentionAllReduce", count, {
      kind: "collective",
      collective: "allReduce",
      bytes: tokens * hidden * 2,
      gpus: tensor,
    });
}

function addFeedForward(
  add: Add,
  { model, parallelism, quantization }: StepShape,
  { count, feedForward }: LayerGroup,
  tokens: number,
): void {
  const { tensor, data, expert, expertTensor } = parallelism;
  const { hidden } = model;
  const dense = (rows: number, columns: number, inner: number): OperationShape => ({
    kind: "matrix",
    rows,
    columns,
    inner,
    format: quantization.dense,
  });
  if (feedForward.kind === "dense") {
    const width = feedForward.intermediate / tensor;
    const matrices = feedForward.gated ? 2 : 1;
    add("upProjection", count, dense(tokens, matrices * width, hidden));
    add("downProjectionFfn", count, dense(tokens, hidden, width));
    add("activation", count, {
      kind: "elementwise",
      bytes: tokens * ((matrices + 1) * width * 2 + hidden * 6),
      kernels: 2,
    });
    if (tensor > 1)
      add("feedForwardAllReduce", count, {
        kind: "collective",
        collective: "allReduce",
        bytes: tokens * hidden * 2,
        gpus: tensor,
      });
    return;
  }
  const gpus = tensor * data;
  const { experts, expertsPerToken, intermediate, sharedIntermediate } = feedForward;
  add("router", count, { kind: "matrix", rows: tokens, columns: experts, inner: hidden, format: "bf16" });
  if (sharedIntermediate > 0) {
    const width = sharedIntermediate / tensor;
    add("sharedExpertUp", count, dense(tokens, 2 * width, hidden));
    add("sharedExpertDown", count, dense(tokens, hidden, width));
  }
  const hiddenBytes = tokens * hidden * 2;
  if (data > 1) {
    if (expert > 1 && gpus > 8) {
      // Wide expert parallelism sends each token to the ranks of its experts only.
      const copies = Math.min(expertsPerToken, expert) / tensor;
      add("dispatch", count, {
        kind: "collective",
        collective: "allToAll",
        bytes: (hiddenBytes / 2) * copies,
        gpus,
      });
      add("combine", count, {
        kind: "collective",
        collective: "allToAll",
        bytes: hiddenBytes * copies,
        gpus,
      });
    } else {
      add("dispatch", count, {
        kind: "collective",
        collective: "allGather",
        bytes: hiddenBytes * data,
        gpus,
      });
      add("combine", count, {
        kind: "collective",
        collective: "reduceScatter",
        bytes: hiddenBytes * data,
        gpus,
      });
    }
  }
  add("experts", count, {
    kind: "experts",
    tokens: tokens * data,
    hidden,
    intermediate,
    experts,
    expertsPerToken,
    expertTensor,
    expert,
    format: quantization.experts,
  });
  add("normAndRouting", count, {
    kind: "elementwise",
    bytes: tokens * (hidden * 6 + experts * 4),
    kernels: 2,
  });
  if (data === 1 && gpus > 1)
    add("expertsAllReduce", count, { kind: "collective", collective: "allReduce", bytes: hiddenBytes, gpus });
}

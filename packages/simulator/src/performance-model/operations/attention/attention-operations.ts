import type { LayerGroup } from "../../models/model-spec.ts";
import { denseMatrix } from "../step-shape.ts";
import type { Add, StepShape } from "../step-shape.ts";
import { addCompressedAttention } from "./compressed-attention.ts";
import { addGroupedAttention } from "./grouped-attention.ts";
import { addLatentAttention } from "./latent-attention.ts";
import { addLinearAttention } from "./linear-attention.ts";
import type { AttentionStep } from "./attention-step.ts";

/** The mixer of a group of layers, and the reduction over tensor-parallel ranks after it. */
export function addAttention(
  add: Add,
  step: StepShape,
  { count, attention }: LayerGroup,
  tokens: number,
): void {
  if (attention.kind === "none") return;
  const { model, parallelism, quantization, batch } = step;
  const shared: AttentionStep = {
    ...step,
    add,
    count,
    tokens,
    matrix: denseMatrix(quantization),
    prefill: (batch.prefill ?? []).filter((chunk) => chunk.sequences > 0 && chunk.newTokens > 0),
    decode: batch.decode && batch.decode.sequences > 0 ? batch.decode : undefined,
  };
  if (attention.kind === "grouped") addGroupedAttention(shared, attention);
  else if (attention.kind === "linear") addLinearAttention(shared, attention);
  else if (attention.kind === "compressed") addCompressedAttention(shared, attention);
  else addLatentAttention(shared, attention);
  if (parallelism.tensor > 1)
    add("attentionAllReduce", count, {
      kind: "collective",
      collective: "allReduce",
      bytes: tokens * model.hidden * 2,
      gpus: parallelism.tensor,
    });
}

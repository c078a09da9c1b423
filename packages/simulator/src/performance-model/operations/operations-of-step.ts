import { logitRowsOf, tokensOf } from "../step-batch.ts";
import { addAttention } from "./attention/attention-operations.ts";
import { addFeedForward } from "./feed-forward-operations.ts";
import type { Operation } from "./operation.ts";
import type { Add, StepShape } from "./step-shape.ts";

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

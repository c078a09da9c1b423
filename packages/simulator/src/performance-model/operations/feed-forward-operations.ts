import type { DenseFeedForward, ExpertFeedForward, LayerGroup } from "../models/model-spec.ts";
import { denseMatrix } from "./step-shape.ts";
import type { Add, StepShape } from "./step-shape.ts";

/** The feed-forward block of a group of layers, with what its ranks exchange. */
export function addFeedForward(
  add: Add,
  step: StepShape,
  { count, feedForward }: LayerGroup,
  tokens: number,
): void {
  if (feedForward.kind === "dense") addDense(add, step, count, feedForward, tokens);
  else if (feedForward.kind === "experts") addExperts(add, step, count, feedForward, tokens);
}

function addDense(
  add: Add,
  { model, parallelism, quantization }: StepShape,
  count: number,
  { intermediate, gated }: DenseFeedForward,
  tokens: number,
): void {
  const { tensor } = parallelism;
  const { hidden } = model;
  const matrix = denseMatrix(quantization);
  const width = intermediate / tensor;
  const matrices = gated ? 2 : 1;
  add("upProjection", count, matrix(tokens, matrices * width, hidden));
  add("downProjectionFfn", count, matrix(tokens, hidden, width));
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
}

function addExperts(
  add: Add,
  { model, parallelism, quantization }: StepShape,
  count: number,
  feedForward: ExpertFeedForward,
  tokens: number,
): void {
  const { tensor, data, expert, expertTensor } = parallelism;
  const { hidden } = model;
  const matrix = denseMatrix(quantization);
  const gpus = tensor * data;
  const { experts, expertsPerToken, intermediate, sharedIntermediate, gated, latent } = feedForward;
  const shared = sharedIntermediate / tensor;
  add("router", count, { kind: "matrix", rows: tokens, columns: experts, inner: hidden, format: "bf16" });
  if (shared > 0) {
    add("sharedExpertUp", count, matrix(tokens, (gated ? 2 : 1) * shared, hidden));
    add("sharedExpertDown", count, matrix(tokens, hidden, shared));
  }
  // Experts that work in a narrower space are reached through a projection and left through another.
  const width = latent ?? hidden;
  if (latent !== undefined) {
    add("expertsDown", count, matrix(tokens, latent, hidden));
    add("expertsUp", count, matrix(tokens, hidden, latent));
  }
  const tokenBytes = tokens * width * 2;
  if (data > 1) {
    const exchange = (
      name: string,
      collective: "allToAll" | "allGather" | "reduceScatter",
      bytes: number,
    ): void => add(name, count, { kind: "collective", collective, bytes, gpus });
    if (expert > 1 && gpus > 8) {
      // Wide expert parallelism sends each token to the ranks of its experts only.
      const copies = Math.min(expertsPerToken, expert) / tensor;
      exchange("dispatch", "allToAll", (tokenBytes / 2) * copies);
      exchange("combine", "allToAll", tokenBytes * copies);
    } else {
      exchange("dispatch", "allGather", tokenBytes * data);
      exchange("combine", "reduceScatter", tokenBytes * data);
    }
  }
  add("experts", count, {
    kind: "experts",
    tokens: tokens * data,
    hidden: width,
    intermediate,
    matrices: gated ? 3 : 2,
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
    add("expertsAllReduce", count, {
      kind: "collective",
      collective: "allReduce",
      bytes: tokens * hidden * 2,
      gpus,
    });
}

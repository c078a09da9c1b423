import type { ModelSpec } from "../models/model-spec.ts";
import type { Parallelism } from "../split/parallelism.ts";
import type { Quantization } from "../split/quantization.ts";
import type { StepBatch } from "../step-batch.ts";
import type { OperationShape } from "./operation.ts";

export interface StepShape {
  readonly model: ModelSpec;
  readonly parallelism: Parallelism;
  readonly quantization: Quantization;
  readonly batch: StepBatch;
}

/** Adds an operation that the step runs `count` times. */
export type Add = (name: string, count: number, shape: OperationShape) => void;

/** Products with the weights of attention, dense feed-forward blocks and shared experts. */
export function denseMatrix({
  dense,
}: Quantization): (rows: number, columns: number, inner: number) => OperationShape {
  return (rows, columns, inner) => ({ kind: "matrix", rows, columns, inner, format: dense });
}

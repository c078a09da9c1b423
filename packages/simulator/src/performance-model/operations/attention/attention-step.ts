import type { DecodeBatch, PrefillChunk } from "../../step-batch.ts";
import type { OperationShape } from "../operation.ts";
import type { Add, StepShape } from "../step-shape.ts";

/** What the mixers of one group of layers have in common: how to add their operations, and who attends in this step. */
export interface AttentionStep extends StepShape {
  readonly add: Add;
  readonly count: number;
  /** Tokens that go through the projections. */
  readonly tokens: number;
  readonly matrix: (rows: number, columns: number, inner: number) => OperationShape;
  readonly prefill: readonly PrefillChunk[];
  readonly decode: DecodeBatch | undefined;
}

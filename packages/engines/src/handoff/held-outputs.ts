import type { GenerateRequest } from "@stator/core";

export interface HeldOutputs {
  /** Output ids that exist already, whoever yielded them. */
  readonly ids: Uint32Array;
  /** How many of them this engine still has to yield, counted from the end. */
  readonly toYield: number;
}

/** The output that a request starts with: its own `outputIds`, or the first ids that came with its handoff. */
export function heldOutputs({ outputIds, handoff }: GenerateRequest): HeldOutputs {
  if (
    handoff === undefined ||
    handoff.firstEmittedBy === "nobody" ||
    handoff.firstIds.length <= outputIds.length
  ) {
    return { ids: outputIds, toYield: 0 };
  }
  const ids = Uint32Array.from(handoff.firstIds);
  return { ids, toYield: handoff.firstEmittedBy === "decode" ? ids.length - outputIds.length : 0 };
}

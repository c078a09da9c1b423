import type { ConnectorStyle } from "./model-card.ts";

/** The promise of a source to hold KV: it frees after `durationMs` without a renewal. */
export interface HandoffLease {
  readonly id: string;
  readonly durationMs: number;
}

/**
 * What became of a handoff: decode took its KV and told a token from it, or no decode is known to have taken it. A source that
 * cannot free by itself keeps what was abandoned until its engine gives it up, and reports it as `kvBlocksLeaked`.
 */
export type HandoffOutcome = "taken" | "abandoned";

/**
 * KV on its way from a prefill to a decode worker. Plain data: it travels in requests and batches.
 * What `opaque` holds is between the two engines of the connector; nobody in between reads it.
 */
export interface Handoff {
  readonly connector: string;
  readonly style: ConnectorStyle;
  readonly opaque: Uint8Array;
  /** Rendezvous and addressed: the number both sides meet by, 63 bits; its residue picks prefill's rank. */
  readonly room?: bigint;
  /** Who holds the KV. */
  readonly source?: { readonly worker: string; readonly epoch: string; readonly rank: number };
  /** Prompt tokens whose KV the source holds. */
  readonly heldTokens: number;
  /** Tokens that prefill sampled already, from output index 0. */
  readonly firstIds: readonly number[];
  /** Who yields `firstIds`: `prefill` did with this batch; `decode` will; `nobody`: decode samples them anew. */
  readonly firstEmittedBy: "prefill" | "decode" | "nobody";
  /** The card's `kvLayoutDigest` of the source; decode refuses another. */
  readonly compatibilityDigest: string;
  readonly lease?: HandoffLease;
}

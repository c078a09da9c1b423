/** Tokens per block in the traces that this package reads and makes. */
export const TRACE_BLOCK_TOKENS: number = 512;

/** One request of a workload: when, how long, and which prefixes it shares. */
export interface TraceRequest {
  /** Arrival, in milliseconds from the start. */
  readonly atMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /**
   * Prefix-cumulative block ids: equal ids mean equal content from the start through that block. The last block may be
   * partial.
   */
  readonly blockIds: readonly number[];
  /** Block names, where real ones were recorded; they replace `blockIds`. */
  readonly names?: BigUint64Array;
  /** Requests of one conversation, if known. */
  readonly session?: string;
}

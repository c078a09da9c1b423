import type { KvEventBatch } from "../kv/kv-event.ts";
import type { Handoff, HandoffOutcome } from "./handoff.ts";
import type { ModelCard } from "./model-card.ts";
import type { GenerateRequest } from "./request.ts";
import type { RequestObserver } from "./request-event.ts";
import type { TokenBatch } from "./token-batch.ts";

export interface GenerateOptions {
  /** Aborting it ends the work, at the engine too. */
  readonly signal: AbortSignal;
  readonly onEvent?: RequestObserver;
}

/** What a request would meet at an engine now. No I/O is done for it. */
export interface Estimate {
  readonly cachedTokens: number;
  readonly queueMs: number;
  readonly prefillMs: number;
}

/** What an engine carries, for placement. Counts, not rates. */
export interface EngineLoad {
  readonly running: number;
  readonly waiting: number;
  readonly queuedPrefillTokens: number;
  readonly kvBlocksUsed: number;
  readonly kvBlocksTotal: number;
  /**
   * Of those in use, blocks that are kept for a decode which will not come, until the engine gives them up: they come free
   * with no request's end. Absent where nothing is known of it.
   */
  readonly kvBlocksLeaked?: number;
}

/** One look at an engine: after each step, and at least every 250 ms. */
export interface EngineStatus {
  /** Steps finished since the start; a flat count while `running > 0` means stuck. */
  readonly step: number;
  /** How long the step in flight has been running; 0 between steps. */
  readonly stepAgeMs: number;
  /** How long the step in flight is expected to take; 0 if unknown. */
  readonly stepExpectedMs: number;
  readonly load: EngineLoad;
  /** Load of each data-parallel rank, when there are several; `load` is their sum. */
  readonly ranks?: readonly EngineLoad[];
  readonly events?: readonly KvEventBatch[];
  /** Will take no new work. */
  readonly isDraining?: boolean;
  /** Cannot work again without a restart: device lost, transfer pool poisoned. */
  readonly unfit?: string;
}

/**
 * Everything that generates tokens: a model process, a pool behind a policy, prefill and decode joined, a stream that
 * survives what is under it. The whole system is engines composed by functions.
 */
export interface Engine {
  /** Live; undefined until a worker is known. */
  readonly card: ModelCard | undefined;

  /**
   * Runs one choice. Yields batches in index order and ends after one with `finish`.
   *
   * @throws StatorError of kind `invalid`, `overloaded`, `unavailable`, `deadline`, `incompatible`; `cancelled` if and
   *   only if `options.signal` was aborted.
   */
  generate(request: GenerateRequest, options: GenerateOptions): AsyncIterable<TokenBatch>;

  /** What this request would meet now, without I/O; undefined if unknown. */
  estimate?(request: GenerateRequest): Estimate | undefined;

  /** Step, load and KV events. Counted from outside if absent. */
  onStatus?(listener: (status: EngineStatus) => void): () => void;

  /** A file of the model by digest (the tokenizer of its card). At most 64 MiB. */
  artifact?(digest: string, options: { readonly signal: AbortSignal }): Promise<Uint8Array>;

  /** KV blocks that this engine holds now, as one snapshot batch: for indexes that start late or lost events. */
  snapshot?(): KvEventBatch | undefined;

  /** Prolongs a handoff's lease at its source. No-op if unknown. */
  renewHandoff?(handoff: Handoff): void;

  /** Frees a handoff's KV at its source, or accounts for it there. Idempotent: the first outcome counts. No-op if unknown. */
  releaseHandoff?(handoff: Handoff, outcome: HandoffOutcome): void;

  /** Frees what the engine owns. Present on those that `createX` made. */
  close?(): Promise<void>;
}

/** A place for one request: booked until `release`, which is idempotent and called by `generate` at its end. */
export interface Reservation {
  readonly worker: string;
  readonly epoch: string;
  readonly rank: number;
  readonly card: ModelCard;
  /** Prompt tokens that the worker holds already, by what its events said. */
  readonly cachedTokens: number;
  readonly costMs: number;
  generate(request: GenerateRequest, options: GenerateOptions): AsyncIterable<TokenBatch>;
  renewHandoff(handoff: Handoff): void;
  releaseHandoff(handoff: Handoff, outcome: HandoffOutcome): void;
  release(): void;
}

export interface ReserveOptions extends GenerateOptions {
  /** What will run there, for the cost: `decode` computes no prompt, its KV comes by handoff. Default by `request.mode`. */
  readonly phase?: "full" | "prefill" | "decode";
  /** Longest wait for a place, in ms. Default: the pool's own. */
  readonly waitMs?: number;
}

/** Engines behind a policy. */
export interface Pool extends Engine {
  /**
   * Chooses a worker for the request and books it.
   *
   * @throws StatorError `overloaded` when all are busy beyond the queue bound, `unavailable` when there is none.
   */
  reserve(request: GenerateRequest, options: ReserveOptions): Promise<Reservation>;
}

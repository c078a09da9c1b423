import type {
  EngineStatus,
  Estimate,
  GenerateRequest,
  Hints,
  KvEventBatch,
  ModelCard,
  RoutedCandidate,
  Worker,
  WorkerEpoch,
} from "@stator/core";
import type { SharedIndexHandle } from "../index/shared-index.ts";

/** One data-parallel rank of one worker in one life: the unit of placement. */
export interface Target {
  readonly worker: string;
  readonly epoch: string;
  readonly rank: number;
}

/** What of a card the selector must agree with. */
export interface SelectorCard {
  readonly blockTokens: ModelCard["blockTokens"];
  readonly hashScheme: ModelCard["hashScheme"];
  readonly adapters: ModelCard["adapters"];
  /** Workers whose tokenizers differ would never share a prefix: a second digest is refused. Absent: not compared. */
  readonly tokenizer?: { readonly digest: string };
  /** Absent: group 0 proves prefixes. */
  readonly kvGroups?: ModelCard["kvGroups"];
}

/** A request as the selector sees it: names and counts, no text, no ids. `Selector.prepare` makes it. */
export interface SelectRequest {
  /** For explanations and speculative entries; need not be unique. */
  readonly id?: string;
  /** Names of the prompt's full blocks, in order. */
  readonly names: BigUint64Array;
  readonly promptTokens: number;
  /** Output tokens still to come, if the caller knows better than the fleet's mean. */
  readonly expectedOutputTokens?: number;
  readonly adapter?: string;
  readonly hints?: Hints;
  readonly avoid?: readonly WorkerEpoch[];
  readonly priority?: number;
  /** What will run there: `prefill` books no decode, `decode` no prefill (its KV comes by handoff). Default `full`. */
  readonly phase?: "full" | "prefill" | "decode";
  /**
   * Leading tokens that were computed before, for a request that lost its worker. While eligible targets hold them, all but
   * a block, only those are candidates: nothing is computed twice that has a copy. Default: cost decides.
   */
  readonly computedTokens?: number;
  /** Where KV of the prompt is that the chosen worker would read: costed as transfer for everyone else. */
  readonly heldBy?: { readonly worker: string; readonly rank?: number; readonly tokens: number };
  /** The caller's own veto (health, digests): a reason for "not there", undefined for "may go". */
  readonly exclude?: (worker: string, epoch: string, rank: number) => string | undefined;
}

/** Cost terms of one candidate, each an estimate in milliseconds. */
export interface CostTerms {
  /** Until the prompt's own computation starts: what is booked or reported before it, and `leakMs` of a candidate. */
  readonly queueMs: number;
  /** Computing the prompt tokens that this candidate does not hold. */
  readonly prefillMs: number;
  /** Moving KV that is elsewhere. */
  readonly transferMs: number;
  /** Reading KV from a slower tier of this candidate. */
  readonly tierMs: number;
  /** What this request's decode suffers from, and does to, those that decode there. */
  readonly decodeMs: number;
}

/** One eligible target with its facts and costs. Valid only during the policy call; copy what must last. */
export interface Candidate extends Target, CostTerms {
  readonly labels: Readonly<Record<string, string>>;
  readonly promptTokens: number;
  /** Leading prompt tokens that the target holds in any tier. */
  readonly cachedTokens: number;
  /** Of these, how many need a read from host, disk or shared storage. */
  readonly slowTierTokens: number;
  /** Prompt tokens booked there and not yet computed. */
  readonly queuedPrefillTokens: number;
  /** Requests booked there or reported by it. */
  readonly activeRequests: number;
  /** Distinct KV blocks of the requests that run there, this one included, and those that leaked. */
  readonly decodeBlocks: number;
  /** Capacity in blocks; 0 if unknown. */
  readonly kvBlocks: number;
  /** Of these, blocks that its engine keeps for decodes that will not come. */
  readonly leakedBlocks: number;
  /** Wait for such blocks where the prompt does not fit beside them. */
  readonly leakMs: number;
  readonly blockTokens: number;
  /** Sum of the terms, the prefill term weighted by its externality: what `kvAware` minimises. */
  readonly costMs: number;
  /** One standard deviation of queue plus prefill, by recent prediction errors. */
  readonly errorMs: number;
}

/** What a policy decides from. */
export interface PolicyInput {
  /** At least one. Order is stable: by join time, then rank. */
  readonly candidates: readonly Candidate[];
  readonly request: SelectRequest;
  /** Uniform in [0, 1); seeded by the selector's options. */
  readonly random: () => number;
  readonly nowMs: number;
}

/**
 * Chooses among eligible candidates; its function name names it in explanations. Returning undefined refuses all.
 *
 * @example
 * const preferSpot: Policy = ({ candidates }) => lowest(candidates, (c) => c.costMs + (c.labels.spot ? 0 : 5));
 */
export type Policy = (input: PolicyInput) => Candidate | undefined;

/** A seam: why this candidate may not take this request, or undefined. */
export type Filter = (candidate: Candidate, request: SelectRequest) => string | undefined;

/** A seam: the candidate's cost in milliseconds; lower wins. */
export type Score = (candidate: Candidate, request: SelectRequest) => number;

/** A seam: which index of `costs` wins. */
export type Pick = (costs: readonly number[], input: PolicyInput) => number;

/** Why a decision fell as it did; plain data, safe to keep, to log and to send. */
export interface Explanation {
  readonly policy: string;
  readonly promptTokens: number;
  readonly candidates: readonly RoutedCandidate[];
  readonly reason: string;
  readonly decisionMs: number;
}

/** The outcome of one selection. Nothing is booked by it. */
export interface Decision {
  /** Absent when no candidate was eligible or the policy refused: `reason` says why. */
  readonly chosen: Chosen | undefined;
  readonly reason: string;
  readonly policy: string;
  readonly request: SelectRequest;
  /** Present when asked for. */
  readonly explanation?: Explanation;
}

export interface Chosen extends Target, CostTerms {
  readonly cachedTokens: number;
  /** By the index: equals `cachedTokens` unless the target's predictions are distrusted. */
  readonly predictedTokens: number;
  readonly costMs: number;
  readonly errorMs: number;
}

/** Load booked for one request, to be freed on every exit path. All methods are no-ops after `free`. */
export interface Booking extends Target {
  readonly cachedTokens: number;
  readonly costMs: number;
  /** The prompt is computed. The time it took teaches the prefill model; `cachedTokens` as the engine reported it. */
  prefilled(report?: { readonly cachedTokens?: number }): void;
  /** Output tokens so far, absolute. */
  progress(outputTokens: number): void;
  /** Idempotent. */
  free(): void;
}

/** What an observation did to the index, so that the caller can repair it. */
export type ObserveResult =
  | "applied"
  /** Seen before; ignored. */
  | "duplicate"
  /** Batches are missing before this one; it was not applied: replay from `nextSequence`, else observe a snapshot. */
  | "gap"
  /** From another life of the worker, or a worker that is not known. */
  | "stale";

export interface SelectOptions {
  /** Fill `Decision.explanation`. Default false. */
  readonly explain?: boolean;
}

/** What a dump or a metric tells of one target. */
export interface TargetLoad extends Target {
  readonly activeRequests: number;
  readonly queuedPrefillTokens: number;
  readonly queueMs: number;
  readonly decodeBlocks: number;
  /** KV blocks that its engine keeps for decodes that will not come. */
  readonly leakedBlocks: number;
  /** Its number in the index: where a `SharedIndexReader` reports its depth. */
  readonly indexTarget: number;
  /** Blocks that the index holds for it. */
  readonly indexedBlocks: number;
  /** Decisions whose predicted cached tokens the engine confirmed or denied. */
  readonly prediction: PredictionRecord;
  /** KV events arrive, and what it computes is among them; else it is routed by this router's own decisions. */
  readonly hasEvents: boolean;
  /** Whether a block that was stored there came back as a KV event. */
  readonly probe: ProbeRecord;
  /** Fitted prefill time: fixed part, per token, and residual standard deviation. */
  readonly prefill: {
    readonly fixedMs: number;
    readonly msPerToken: number;
    readonly errorMs: number;
    readonly samples: number;
  };
}

/** How much of a prefix a target holds, by its events alone. */
export interface Holding extends Target {
  /** Leading blocks, in any tier. */
  readonly blocks: number;
  /** Of these, blocks that are only in host memory, and only on disk. */
  readonly hostBlocks: number;
  readonly diskBlocks: number;
}

/**
 * What is known of a target's way from a stored block to a KV event of the same name.
 * - `none`: nobody probes here. - `waiting`: a probe is due or runs. - `passed`: its blocks came back.
 * - `failed`: they did not: `detail` says what to look at. - `unproven`: no probe prompt could be run.
 * - `skipped`: there is nothing to prove: `detail` says why.
 */
export interface ProbeRecord {
  readonly outcome: "none" | "waiting" | "passed" | "failed" | "unproven" | "skipped";
  /** Probe prompts sent so far. */
  readonly attempts: number;
  readonly detail?: string;
}

/** Predicted against actual cached tokens. */
export interface PredictionRecord {
  readonly requests: number;
  readonly predictedTokens: number;
  readonly actualTokens: number;
  /** The gap is persistent: predictions for this worker are not used until they agree again. */
  readonly isDistrusted: boolean;
  /** The worker persistently finds more than its events say: this router's own decisions count as well until they agree again. */
  readonly isUnderstated: boolean;
}

/**
 * Where a request goes: an index of who holds which prefix, the load that this process booked, and a policy. Synchronous:
 * no I/O, no timer, an injected clock. Pools, services, simulation and replay are shells around it.
 */
export interface Selector {
  readonly policy: string;
  readonly blockTokens: number | undefined;
  /** For `openSharedIndex` on other threads, when `index.isShared` was asked for. */
  readonly sharedIndex: SharedIndexHandle | undefined;
  /**
   * Makes a worker's ranks candidates. Another epoch of a known id replaces it and drops what was known of it.
   *
   * @throws RouterError `ROUTER_BLOCK_SIZE_MISMATCH`, `ROUTER_HASH_SCHEME_MISMATCH` or `ROUTER_TOKENIZER_MISMATCH`
   */
  addWorker(worker: Worker, card: SelectorCard): void;
  /** Forgets a worker: its blocks and load. With `epoch`, only if that life is the known one. */
  removeWorker(worker: string, epoch?: string): void;
  /** Load, draining and KV events as a worker reports them. */
  observeStatus(worker: string, epoch: string, status: EngineStatus): ObserveResult;
  /** One batch of KV events from any feed. */
  observe(batch: KvEventBatch): ObserveResult;
  /**
   * What a probe of a target showed. One that failed is routed by this router's own decisions until a prompt of it comes back as
   * KV events.
   */
  probed(target: Target, record: ProbeRecord): ObserveResult;
  /** The sequence number that the next batch of this worker must have. */
  nextSequence(worker: string): bigint | undefined;
  /** Names the prompt's blocks, once per request: pass the result to `select` as often as needed. */
  prepare(request: GenerateRequest): SelectRequest;
  select(request: SelectRequest, options?: SelectOptions): Decision;
  /** Books a decision's load until `free`. @throws RouterError `ROUTER_NOTHING_CHOSEN` */
  book(decision: Decision): Booking;
  /** The best candidate's numbers, without the policy; undefined without candidates. */
  estimate(request: SelectRequest): Estimate | undefined;
  /**
   * All that is known of a worker's blocks, as one snapshot batch that another selector can observe: a new replica starts
   * warm. Undefined before the worker's first batch.
   */
  dump(worker: string): KvEventBatch | undefined;
  /**
   * The same in steps of about a millisecond, for a router that serves meanwhile: between two steps anything may be called, and
   * batches that are observed then are in the result. Undefined also when the worker left. End it, or call its `return`.
   */
  dumpSteps(worker: string): Generator<void, KvEventBatch | undefined, void>;
  /** Who holds how much of the chain `names`; targets that hold nothing are left out. */
  holdings(names: BigUint64Array): readonly Holding[];
  /** One line per target. */
  loads(): readonly TargetLoad[];
}

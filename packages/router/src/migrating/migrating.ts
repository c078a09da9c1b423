import {
  cancelled,
  classifyFailure,
  createDeadlines,
  noopMeter,
  observationRules,
  sleep,
  StatorError,
  systemClock,
  wrapEngine,
  type Clock,
  type Deadlines,
  type Engine,
  type GenerateOptions,
  type GenerateRequest,
  type Meter,
  type MigrationCause,
  type OutcomeType,
  type RequestEvent,
  type TokenBatch,
  type WorkerEpoch,
} from "@stator/core";

import { routerError } from "../errors/router-error.ts";
import { interruptible } from "../streams/interruptible.ts";
import { linkAbort } from "../streams/linked-abort.ts";
import { createJournal, type Journal } from "./journal.ts";
import { createQuarantine, type Suspect } from "./quarantine.ts";
import { finishLocally, missingToResume } from "./resume-rules.ts";
import { createRetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";

export interface MigratingOptions {
  /** Attempts of one request in all; free ones (never started, draining, busy) do not count. Default 3. */
  readonly attempts?: number;
  /** Requests on their way to another worker at once; the others wait in line. Default 20 % of the active ones, at least 3. */
  readonly retryBudget?: RetryBudgetOptions;
  /** Prompt and output tokens kept for all requests together; beyond it new ones are not migratable. Default 64 Mi (256 MiB). */
  readonly maxTrackedTokens?: number;
  /** `requestMs`, `retryBackoffMs` and `quarantineMs` matter here. */
  readonly deadlines?: Partial<Deadlines>;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter of back-offs. Default `Math.random`. */
  readonly random?: () => number;
  /** Counts `duplicate_frames_dropped`; everything else of a migration is in its event. Default: nothing is measured. */
  readonly meter?: Meter;
}

export const defaultAttempts: number = 3;
export const defaultMaxTrackedTokens: number = 64 * 1024 * 1024;
/** Free attempts end too: a fleet that only refuses is no fleet. */
const mostFreeAttempts = 16;

/** What a migrating engine has done so far. */
export interface MigratingCounts {
  readonly active: number;
  readonly trackedTokens: number;
  readonly resumed: number;
  readonly restarted: number;
  readonly finishedLocally: number;
  readonly failed: number;
  readonly droppedBatches: number;
  readonly recomputedTokens: number;
  readonly notMigratable: number;
  readonly quarantined: number;
}

export interface MigratingEngine extends Engine {
  readonly counts: MigratingCounts;
}

/** A move that has not spoken yet. */
interface Move {
  readonly from: string;
  readonly cause: MigrationCause;
  readonly outcome: "resumed" | "restarted";
  readonly tokens: number;
}

/**
 * An engine that survives the death of what is under it: each request's output is kept, and when its worker fails
 * another one goes on at the next index. The caller sees one stream without a seam.
 *
 * @throws RouterError from `generate`: `ROUTER_ATTEMPTS_EXHAUSTED`, `ROUTER_RESUME_UNSUPPORTED`, `ROUTER_NOT_MIGRATABLE`,
 *   `ROUTER_REQUEST_QUARANTINED`, `ROUTER_REQUEST_DEADLINE`; and what the inner engine throws for the caller's own faults.
 * @example
 * const engine = migrating(createPool({ workers: runtime.workers({ model: "tiny" }) }));
 */
export function migrating(inner: Engine, options: MigratingOptions = {}): MigratingEngine {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const deadlines = createDeadlines(options.deadlines);
  const attempts = options.attempts ?? defaultAttempts;
  const maxTrackedTokens = options.maxTrackedTokens ?? defaultMaxTrackedTokens;
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw routerError("ROUTER_OPTION_INVALID", `attempts is ${attempts}; give a whole number of at least 1.`);
  }
  const budget = createRetryBudget(options.retryBudget);
  const quarantine = createQuarantine({ clock, quarantineMs: deadlines.quarantineMs });
  const dropped = (options.meter ?? noopMeter)
    .counter({ name: "duplicate_frames_dropped", help: "Batches of requests that were not the next ones and were dropped." })
    .labels({});
  const counts = {
    active: 0,
    trackedTokens: 0,
    resumed: 0,
    restarted: 0,
    finishedLocally: 0,
    failed: 0,
    droppedBatches: 0,
    recomputedTokens: 0,
    notMigratable: 0,
    quarantined: 0,
  };

  const quarantined = (request: GenerateRequest, leftMs: number): StatorError => {
    counts.quarantined += 1;
    return routerError(
      "ROUTER_REQUEST_QUARANTINED",
      `Request ${request.id} is not run: its prompt ended ${attempts} workers. It stays blocked for ${Math.ceil(leftMs / 1_000)} s.`,
      { retryAfterMs: leftMs },
    );
  };

  async function* generate(request: GenerateRequest, { signal, onEvent }: GenerateOptions): AsyncGenerator<TokenBatch> {
    if (signal.aborted) throw cancelled(signal);
    const blockedMs = quarantine.blockedForMs(request);
    if (blockedMs !== undefined) throw quarantined(request, blockedMs);

    const whole = linkAbort(signal);
    const timer = clock.schedule(deadlines.requestMs, () =>
      whole.abort(
        routerError("ROUTER_REQUEST_DEADLINE", `Request ${request.id} took longer than ${deadlines.requestMs} ms.`, {
          observation: "deadline",
        }),
      ),
    );
    const leave = budget.enter();
    const suspect = quarantine.suspect(request);
    const journal = createJournal(request);
    const isMigratable = counts.trackedTokens + journal.tokens <= maxTrackedTokens;
    if (!isMigratable) counts.notMigratable += 1;
    counts.active += 1;
    let tracked = 0;
    const track = (): void => {
      counts.trackedTokens += journal.tokens - tracked;
      tracked = journal.tokens;
    };
    track();

    const tell = (move: { from: string; cause: MigrationCause }, outcome: "resumed" | "restarted" | "finishedLocally" | "failed", recomputedTokens: number): void => {
      counts[outcome] += 1;
      counts.recomputedTokens += recomputedTokens;
      onEvent?.({
        type: "migrated",
        atMs: clock.now(),
        requestId: request.id,
        choice: request.choice,
        attempt: journal.attempt,
        from: move.from,
        cause: move.cause,
        outcome,
        gapMs: clock.now() - lastTokenMs,
        recomputedTokens,
      });
    };

    let lastTokenMs = clock.now();
    let move: Move | undefined;
    let endRetry: (() => void) | undefined;
    let counted = 1;
    let free = 0;
    try {
      for (;;) {
        const run = startAttempt(request, journal, suspect, whole.signal, onEvent);
        let failure: unknown;
        let outcome: OutcomeType = "cut";
        try {
          for (;;) {
            const { done, value: batch } = await run.stream.next();
            if (done === true) break;
            if (journal.take(run.attempt, batch) !== "accepted") {
              counts.droppedBatches += 1;
              dropped.add();
              if (journal.faults < 3) continue;
              failure = routerError("ROUTER_PROTOCOL_FAULT", `The stream of request ${request.id} had three wrong indexes.`, {
                observation: "protocolFault",
              });
              run.abort(failure);
              break;
            }
            track();
            if (batch.ids.length > 0) {
              if (move !== undefined) {
                const cachedTokens = batch.cachedTokens ?? run.routed?.cachedTokens ?? 0;
                tell(move, move.outcome, Math.max(0, move.tokens - cachedTokens));
                move = undefined;
                endRetry?.();
                suspect.cleared();
              }
              lastTokenMs = clock.now();
            }
            if (batch.finish !== undefined) run.isFinished = true;
            yield billed(journal, batch);
            if (run.isFinished) return;
          }
        } catch (error) {
          failure = error;
        } finally {
          endRetry?.();
          // Before the attempt is closed by its own signal, which says nothing of the worker.
          outcome = classifyFailure(failure, run.signal);
          run.close();
        }

        if (signal.aborted) throw cancelled(signal);
        if (whole.signal.aborted) throw whole.signal.reason as Error;
        const rule = observationRules[outcome];
        const error = failure === undefined ? undefined : StatorError.from(failure);
        const life = lifeOf(error) ?? run.routed?.life;
        const dead = [...(life === undefined ? [] : [life]), ...alsoDied(error)];
        if (rule.cause === undefined || rule.migrate === "no") throw error ?? truncated(request);
        if (move !== undefined) tell(move, "failed", 0);
        move = undefined;
        const last = { from: life?.worker ?? "unknown", cause: rule.cause };

        for (const one of dead) journal.shun(one);
        const isDeath = rule.class === "crashed" || rule.class === "dead" || rule.class === "stuck" || rule.class === "unfit";
        if (isDeath && dead.map((one) => suspect.died(one)).includes(true)) {
          tell(last, "failed", 0);
          throw quarantined(request, deadlines.quarantineMs);
        }
        suspect.cleared();

        const hasOutput = journal.next > request.outputIds.length;
        const finish = finishLocally(request, journal.next, journal.lastId, inner.card);
        if (finish !== undefined && hasOutput) {
          tell(last, "finishedLocally", 0);
          yield { firstIndex: journal.next, ids: [], finish };
          return;
        }
        const refusal = refusalToMove(error);
        if (refusal !== undefined) {
          tell(last, "failed", 0);
          throw refusal;
        }
        if (rule.migrate === "free" || rule.migrate === "oncePerWorker") free += 1;
        else counted += 1;

        move = { ...last, outcome: journal.next > 0 ? "resumed" : "restarted", tokens: journal.tokens };
        journal.nextAttempt(run.routed?.weightsDigest);
        // Full jitter: workers' deaths release many requests in one moment.
        await sleep(clock, random() * deadlines.retryBackoffMs * 2 ** Math.min(counted + free - 2, 6), whole.signal);
        endRetry = await budget.acquire(whole.signal);
      }

      function refusalToMove(error: StatorError | undefined): StatorError | undefined {
        const at = `after output token ${journal.next}`;
        if (!isMigratable) {
          return routerError("ROUTER_NOT_MIGRATABLE", `Request ${request.id} lost its worker ${at} and was not tracked: maxTrackedTokens was reached.`, error?.data, error);
        }
        if (request.hints?.pin !== undefined && journal.next > 0) {
          return routerError("ROUTER_NOT_MIGRATABLE", `Request ${request.id} lost its worker ${at} and is pinned to it.`, error?.data, error);
        }
        const card = inner.card;
        const missing = card === undefined || journal.next === 0 ? undefined : missingToResume(request, card);
        if (missing !== undefined) {
          return routerError("ROUTER_RESUME_UNSUPPORTED", `Request ${request.id} lost its worker ${at}; the engine cannot resume it: it does not carry over ${missing}.`, { ...error?.data, missing }, error);
        }
        if (counted >= attempts || free >= mostFreeAttempts) {
          return routerError("ROUTER_ATTEMPTS_EXHAUSTED", `Request ${request.id} failed on ${counted} workers, the last time ${at}: ${error?.message ?? "its stream was cut"}`, error?.data, error);
        }
        return undefined;
      }
    } catch (error) {
      if (signal.aborted) throw cancelled(signal);
      if (move !== undefined) tell(move, "failed", 0);
      throw error;
    } finally {
      timer.cancel();
      whole.unlink();
      endRetry?.();
      suspect.gone();
      leave();
      counts.active -= 1;
      counts.trackedTokens -= tracked;
    }
  }

  function startAttempt(
    request: GenerateRequest,
    journal: Journal,
    suspect: Suspect,
    parent: AbortSignal,
    onEvent: ((event: RequestEvent) => void) | undefined,
  ): Attempt {
    const linked = linkAbort(parent);
    const routed: { life?: WorkerEpoch; cachedTokens: number; weightsDigest?: string } = { cachedTokens: 0 };
    const observe = (event: RequestEvent): void => {
      if (event.type === "routed" && event.epoch !== undefined) {
        const life = { worker: event.worker, epoch: event.epoch };
        suspect.placed(life);
        if (event.phase !== "prefill" || routed.life === undefined) {
          routed.life = life;
          routed.cachedTokens = event.cachedTokens;
          if (event.weightsDigest !== undefined) routed.weightsDigest = event.weightsDigest;
        }
      }
      onEvent?.(event);
    };
    const crowded = suspect.crowded();
    const current = journal.request();
    const sent = crowded.length === 0 ? current : { ...current, avoid: [...current.avoid, ...crowded] };
    const stream = interruptible(inner.generate(sent, { signal: linked.signal, onEvent: observe }));
    const onAbort = (): void => stream.interrupt(parent.reason);
    if (parent.aborted) onAbort();
    else parent.addEventListener("abort", onAbort, { once: true });
    const attempt: Attempt = {
      attempt: current.attempt,
      stream,
      signal: linked.signal,
      routed,
      isFinished: false,
      abort: (reason) => linked.abort(reason),
      close() {
        parent.removeEventListener("abort", onAbort);
        linked.unlink();
        stream.close();
        if (!attempt.isFinished) linked.abort(routerError("ROUTER_CLOSED", `Attempt ${attempt.attempt} of request ${request.id} is over.`));
      },
    };
    return attempt;
  }

  return Object.defineProperty(wrapEngine(inner, { generate }), "counts", { value: counts, enumerable: true }) as MigratingEngine;
}

interface Attempt {
  readonly attempt: number;
  readonly stream: ReturnType<typeof interruptible<TokenBatch>>;
  readonly signal: AbortSignal;
  readonly routed: { readonly life?: WorkerEpoch; readonly cachedTokens: number; readonly weightsDigest?: string } | undefined;
  isFinished: boolean;
  abort(reason: unknown): void;
  close(): void;
}

/** Cached tokens are told once, by the first attempt that reports them: recomputation is not the client's bill. */
function billed(journal: Journal, batch: TokenBatch): TokenBatch {
  if (batch.cachedTokens === undefined || journal.billsCached(batch)) return batch;
  const { cachedTokens: _recomputed, ...rest } = batch;
  return rest;
}

function truncated(request: GenerateRequest): StatorError {
  return routerError("ROUTER_ATTEMPT_FAILED", `The stream of request ${request.id} ended without its final batch.`);
}

function lifeOf(error: StatorError | undefined): WorkerEpoch | undefined {
  const { worker, epoch } = (error?.data ?? {}) as Partial<WorkerEpoch>;
  return typeof worker === "string" && typeof epoch === "string" ? { worker, epoch } : undefined;
}

/** Lives that ended in the same attempt before the one that the error names: a prefill worker's, usually. */
function alsoDied(error: StatorError | undefined): readonly WorkerEpoch[] {
  return (error?.data?.["alsoDied"] as readonly WorkerEpoch[] | undefined) ?? [];
}

// Longer than other files: one request is one closure over its state, so that a token passes without a generator per layer.
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
  type TokenBatch,
} from "@stator/core";

import { routerError, type RouterErrorCode } from "../errors/router-error.ts";
import { alsoDied, lifeOf, startAttempt, type Attempt } from "./attempt.ts";
import { createJournal, type Journal } from "./journal.ts";
import { createQuarantine } from "./quarantine.ts";
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
  /** Of these, on their way to another worker now. */
  readonly retrying: number;
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
    .counter({
      name: "duplicate_frames_dropped",
      help: "Batches of requests that were not the next ones and were dropped.",
    })
    .labels({});
  const counts = {
    active: 0,
    get retrying(): number {
      return budget.retrying;
    },
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

  /** One request, without a generator: this is on the way of every token. */
  const start = (
    request: GenerateRequest,
    { signal, onEvent }: GenerateOptions,
  ): AsyncIterator<TokenBatch> => {
    const journal = createJournal(request);
    const suspect = quarantine.suspect(request);
    const whole = new AbortController();
    const timer = clock.schedule(deadlines.requestMs, () =>
      stop(
        routerError(
          "ROUTER_REQUEST_DEADLINE",
          `Request ${request.id} took longer than ${deadlines.requestMs} ms.`,
          {
            observation: "deadline",
          },
        ),
      ),
    );
    const leaveBudget = budget.enter();
    const isMigratable = counts.trackedTokens + journal.tokens <= maxTrackedTokens;
    let tracked = 0;
    let lastTokenMs = clock.now();
    let move: Move | undefined;
    let endRetry: (() => void) | undefined;
    let counted = 1;
    let free = 0;
    let run: Attempt | undefined;
    let isOver = false;
    let resolve: ((result: IteratorResult<TokenBatch>) => void) | undefined;
    let reject: ((error: unknown) => void) | undefined;

    const track = (): void => {
      counts.trackedTokens += journal.tokens - tracked;
      tracked = journal.tokens;
    };
    const tell = (
      of: { readonly from: string; readonly cause: MigrationCause },
      outcome: Outcome,
      recomputedTokens: number,
    ): void => {
      counts[outcome] += 1;
      counts.recomputedTokens += recomputedTokens;
      onEvent?.({
        type: "migrated",
        atMs: clock.now(),
        requestId: request.id,
        choice: request.choice,
        attempt: journal.attempt,
        from: of.from,
        cause: of.cause,
        outcome,
        gapMs: clock.now() - lastTokenMs,
        recomputedTokens,
      });
    };
    const settle = (): void => {
      isOver = true;
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      endRetry?.();
      run?.close();
      whole.abort(routerError("ROUTER_CLOSED", `Request ${request.id} is over.`));
      suspect.gone();
      leaveBudget();
      counts.active -= 1;
      counts.trackedTokens -= tracked;
    };
    const answer = (result: IteratorResult<TokenBatch>): void => {
      const to = resolve;
      resolve = reject = undefined;
      to?.(result);
    };
    let failure: { readonly error: unknown } | undefined;
    const stop = (error: unknown): void => {
      if (isOver) return;
      if (move !== undefined && !signal.aborted) tell(move, "failed", 0);
      settle();
      const to = reject;
      resolve = reject = undefined;
      if (to === undefined) failure = { error };
      else to(error);
    };
    const onAbort = (): void => stop(cancelled(signal));

    const pull = (): void => void run!.iterator.next().then(onResult, onError);
    const onResult = (result: IteratorResult<TokenBatch>): void => {
      const current = run;
      if (isOver || current === undefined) return;
      if (result.done === true) {
        onError(undefined);
        return;
      }
      const batch = result.value;
      if (journal.take(current.attempt, batch) !== "accepted") {
        counts.droppedBatches += 1;
        dropped.add();
        if (journal.faults < 3) {
          pull();
          return;
        }
        const error = routerError(
          "ROUTER_PROTOCOL_FAULT",
          `The stream of request ${request.id} had three wrong indexes.`,
          {
            observation: "protocolFault",
          },
        );
        current.abort(error);
        onError(error);
        return;
      }
      if (batch.ids.length > 0) {
        track();
        if (move !== undefined) {
          tell(
            move,
            move.outcome,
            Math.max(0, move.tokens - (batch.cachedTokens ?? current.routed.cachedTokens)),
          );
          move = undefined;
          endRetry?.();
          suspect.cleared();
        }
        lastTokenMs = clock.now();
      }
      if (batch.finish !== undefined) {
        current.isFinished = true;
        settle();
      }
      answer(
        batch.cachedTokens === undefined
          ? (result as IteratorYieldResult<TokenBatch>)
          : { done: false, value: billed(journal, batch) },
      );
    };
    const onError = (error: unknown): void => {
      if (isOver) return;
      goOn(error).then(
        (last) => {
          if (isOver) return;
          if (last === undefined) {
            begin();
            pull();
            return;
          }
          settle();
          answer({ done: false, value: last });
        },
        (final: unknown) => stop(signal.aborted ? cancelled(signal) : final),
      );
    };
    const begin = (): void => {
      run = startAttempt(inner, request, journal, suspect, whole.signal, onEvent);
    };

    /** After a failed attempt: resolves when the next one may begin, or with a last batch made here. */
    const goOn = async (thrown: unknown): Promise<TokenBatch | undefined> => {
      const failed = run!;
      run = undefined;
      endRetry?.();
      // Before the attempt is closed by its own signal, which says nothing of the worker.
      const outcome = classifyFailure(thrown, failed.signal);
      failed.close();
      const rule = observationRules[outcome];
      const error = thrown === undefined ? undefined : StatorError.from(thrown);
      if (rule.cause === undefined || rule.migrate === "no") throw error ?? truncated(request);
      const life = lifeOf(error) ?? failed.routed.life;
      const dead = [...(life === undefined ? [] : [life]), ...alsoDied(error)];
      if (move !== undefined) tell(move, "failed", 0);
      move = undefined;
      const last = { from: life?.worker ?? "unknown", cause: rule.cause };

      // Our own silence says nothing of the worker: the same life may go on with it, under another attempt number.
      if (rule.migrate !== "anywhere") for (const one of dead) journal.shun(one);
      const isDeath =
        rule.class === "crashed" || rule.class === "dead" || rule.class === "stuck" || rule.class === "unfit";
      if (isDeath && dead.map((one) => suspect.died(one, journal.next)).includes(true)) {
        tell(last, "failed", 0);
        throw quarantined(request, deadlines.quarantineMs);
      }
      suspect.cleared();

      const finish = finishLocally(request, journal.next, journal.lastId, inner.card);
      if (finish !== undefined && journal.next > request.outputIds.length) {
        tell(last, "finishedLocally", 0);
        return { firstIndex: journal.next, ids: [], finish };
      }
      const refusal = refusalToMove(error);
      if (refusal !== undefined) {
        tell(last, "failed", 0);
        throw refusal;
      }
      if (rule.migrate === "free" || rule.migrate === "anywhere" || rule.migrate === "oncePerWorker")
        free += 1;
      else counted += 1;

      move = { ...last, outcome: journal.next > 0 ? "resumed" : "restarted", tokens: journal.tokens };
      journal.nextAttempt(failed.routed.weightsDigest);
      // Full jitter: workers' deaths release many requests in one moment.
      await sleep(
        clock,
        random() * deadlines.retryBackoffMs * 2 ** Math.min(counted + free - 2, 6),
        whole.signal,
      );
      endRetry = await budget.acquire(whole.signal);
      return undefined;
    };

    const refusalToMove = (error: StatorError | undefined): StatorError | undefined => {
      const what = `Request ${request.id} lost its worker after output token ${journal.next}`;
      const refuse = (code: RouterErrorCode, why: string, data: object = {}): StatorError =>
        routerError(code, `${what}${why}`, { ...error?.data, ...data }, error);
      if (!isMigratable)
        return refuse("ROUTER_NOT_MIGRATABLE", " and was not tracked: maxTrackedTokens was reached.");
      if (request.hints?.pin !== undefined && journal.next > 0)
        return refuse("ROUTER_NOT_MIGRATABLE", " and is pinned to it.");
      const { card } = inner;
      const missing = card === undefined || journal.next === 0 ? undefined : missingToResume(request, card);
      if (missing !== undefined) {
        return refuse(
          "ROUTER_RESUME_UNSUPPORTED",
          `; the engine cannot resume it: it does not carry over ${missing}.`,
          { missing },
        );
      }
      if (counted < attempts && free < mostFreeAttempts) return undefined;
      return refuse(
        "ROUTER_ATTEMPTS_EXHAUSTED",
        ` and had failed on ${counted} workers: ${error?.message ?? "its stream was cut"}`,
      );
    };

    if (!isMigratable) counts.notMigratable += 1;
    counts.active += 1;
    track();
    signal.addEventListener("abort", onAbort, { once: true });

    return {
      next() {
        return new Promise((onValue, onFailure) => {
          if (failure !== undefined) {
            onFailure(failure.error as Error);
            failure = undefined;
          } else if (isOver) {
            onValue({ done: true, value: undefined });
          } else {
            resolve = onValue;
            reject = onFailure;
            if (run === undefined) begin();
            pull();
          }
        });
      },
      return() {
        if (!isOver) settle();
        answer({ done: true, value: undefined });
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  };

  const generate = (request: GenerateRequest, options: GenerateOptions): AsyncIterable<TokenBatch> => ({
    [Symbol.asyncIterator]() {
      if (options.signal.aborted) return failing(cancelled(options.signal));
      const blockedMs = quarantine.blockedForMs(request);
      return blockedMs === undefined ? start(request, options) : failing(quarantined(request, blockedMs));
    },
  });

  return Object.defineProperty(wrapEngine(inner, { generate }), "counts", {
    value: counts,
    enumerable: true,
  }) as MigratingEngine;
}

type Outcome = "resumed" | "restarted" | "finishedLocally" | "failed";

/** Cached tokens are told once, by the first attempt that reports them: recomputation is not the client's bill. */
function billed(journal: Journal, batch: TokenBatch): TokenBatch {
  if (batch.cachedTokens === undefined || journal.billsCached(batch)) return batch;
  const { cachedTokens: _recomputed, ...rest } = batch;
  return rest;
}

function failing(error: Error): AsyncIterator<TokenBatch> {
  return { next: () => Promise.reject(error) };
}

function truncated(request: GenerateRequest): StatorError {
  return routerError(
    "ROUTER_ATTEMPT_FAILED",
    `The stream of request ${request.id} ended without its final batch.`,
  );
}
